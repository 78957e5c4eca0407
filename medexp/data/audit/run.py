"""Audits a data set: every check, in the order in which they need each other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from medexp.data.audit.acceptance import accepted
from medexp.data.audit.canary import canary_findings
from medexp.data.audit.duplicates import duplicate_findings, identical, near_duplicate_findings, representatives
from medexp.data.audit.files import unreadable_files
from medexp.data.audit.findings import Acceptance, Finding, plural
from medexp.data.audit.groups import group_findings, identity_findings
from medexp.data.audit.images import group_codes, label_codes
from medexp.data.audit.measure import measure
from medexp.data.audit.metadata import metadata_findings
from medexp.data.audit.near_duplicates import NearDuplicates, near_duplicates
from medexp.data.audit.prevalence import class_counts, class_findings, prevalence_findings
from medexp.data.audit.probe import probe_findings
from medexp.data.audit.report import AuditReport, Check
from medexp.data.audit.shortcuts import shortcut_findings
from medexp.data.dataset import Dataset
from medexp.types import SPLITS

logger = logging.getLogger(__name__)
_ORDER = {"refuse": 0, "warn": 1, "note": 2}


def audit(
    dataset: Dataset, *, probe: bool, canary: bool, min_per_class: int, seed: int, accept: Sequence[Acceptance]
) -> AuditReport:
    """Return everything that is the matter with a data set under its split.

    Args:
        dataset: read, prepared and split.
        probe: whether to ask how well size, format, brightness and border tell the class.
        canary: whether to train on shuffled labels as well (`audit.canary`).
        min_per_class: images of a class in a split, below which results say little.
        seed: of samples, folds and small classifiers. The same data and seed give the same report, wherever the
            files lie and in whatever order.
        accept: findings that are known.
    """
    started = time.perf_counter()
    checks = _Checks()
    checks.run("files", lambda: unreadable_files(dataset), "every file can be read")
    checks.run("groups", lambda: group_findings(dataset), _groups_clean(dataset))
    checks.run("identities", lambda: identity_findings(dataset), "no column that names patients crosses the splits")
    clusters = identical(dataset)
    checks.run("duplicates", lambda: duplicate_findings(dataset, clusters), "no image occurs twice")
    checks.run("classes", lambda: class_findings(dataset, min_per_class=min_per_class), "every class is in every split")
    checks.run("prevalence", lambda: prevalence_findings(dataset), "no material difference between splits")
    begun = time.perf_counter()
    measured = measure(dataset)
    logger.debug("measured %d images in %.1f s", len(dataset.keys), time.perf_counter() - begun)
    begun = time.perf_counter()
    near = near_duplicates(
        measured.grey,
        rows=representatives(dataset, clusters),
        labels=label_codes(dataset),
        groups=group_codes(dataset),
        seed=seed,
    )
    found = near_duplicate_findings(dataset, near, clusters)
    checks.add("near-duplicates", found, _near_clean(near), time.perf_counter() - begun)
    checks.run("shortcuts", lambda: shortcut_findings(dataset, measured), "no property of the files tells the class")
    checks.run("metadata", lambda: metadata_findings(dataset, seed=seed), "no column tells the class")
    if probe:
        checks.run("shortcut probe", lambda: probe_findings(dataset, measured, seed=seed), "")
    if canary:
        checks.run(
            "leak canary",
            lambda: canary_findings(dataset, measured, clusters=clusters, near=near, seed=seed),
            "",
        )
    findings = sorted(accepted(checks.findings, accept), key=lambda finding: _ORDER[finding.severity])
    return AuditReport(
        name=dataset.name,
        findings=tuple(findings),
        checks=tuple(checks.done),
        counts=class_counts(dataset),
        totals={split: int(np.sum(dataset.splits == split)) for split in SPLITS},
        seconds=time.perf_counter() - started,
        synthetic=dataset.synthetic,
    )


class _Checks:
    """Runs checks and remembers what they found and how long they took."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.done: list[Check] = []

    def run(self, name: str, check: Callable[[], list[Finding]], clean: str) -> None:
        begun = time.perf_counter()
        self.add(name, check(), clean, time.perf_counter() - begun)

    def add(self, name: str, found: list[Finding], clean: str, seconds: float) -> None:
        self.findings += found
        result = " ".join(finding.summary for finding in found) or f"Clean: {clean}."
        self.done.append(Check(name, result, seconds))


def _groups_clean(dataset: Dataset) -> str:
    if dataset.groups is None:
        return "no groups were given; each image stands alone"
    return f"each of {plural(len(set(dataset.groups)), 'group')} is in one split"


def _near_clean(near: NearDuplicates) -> str:
    flat = f"; {plural(near.flat, 'image')} without any structure left out" if near.flat else ""
    return f"of {near.compared:,} look-alike pairs none is as alike as {near.threshold:.3f}{flat}"
