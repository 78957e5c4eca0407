"""Audit the same data once: the jobs of a sweep train on it many times."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from medexp.data.audit.findings import Acceptance
from medexp.data.audit.report import AuditReport
from medexp.data.audit.run import audit
from medexp.data.dataset import Dataset
from medexp.types import digest_of

logger = logging.getLogger(__name__)


def audit_once(
    dataset: Dataset,
    *,
    folder: Path,
    probe: bool,
    canary: bool,
    min_per_class: int,
    seed: int,
    accept: Sequence[Acceptance],
) -> AuditReport:
    """Return what `audit` says, from `folder` where it has said it of the same data before.

    The same is: pixels, files, labels, names, groups, splits, other columns (hidden ones too), options, acceptances,
    and the code of the audit. A record that is damaged is made anew.
    """
    options = {"probe": probe, "canary": canary, "min_per_class": min_per_class, "seed": seed}
    path = folder / f"{_key(dataset, options, accept)}.json"
    try:
        report = TypeAdapter(AuditReport).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        report = audit(dataset, probe=probe, canary=canary, min_per_class=min_per_class, seed=seed, accept=accept)
        _write(report, path)
    else:
        logger.info("audit: nothing has changed since the last one of this data")
    return report


def _key(dataset: Dataset, options: dict[str, Any], accept: Sequence[Acceptance]) -> str:
    arrays = {name: _hash(column) for name, column in vars(dataset.facts).items()}
    facts = {
        "name": dataset.name,
        "task": dataset.task,
        "classes": dataset.class_names,
        "keys": _hash(np.array(dataset.keys)),
        "labels": _hash(dataset.labels),
        "groups": None if dataset.groups is None else _hash(np.array(dataset.groups)),
        "splits": _hash(dataset.splits),
        "own_split": dataset.own_split,
        "metadata": {name: _hash(np.array(values)) for name, values in dataset.metadata.items()},
        "hidden": {name: _hash(np.array(values)) for name, values in dataset.hidden.items()},
        "input": dataset.pixels.input.digest,
        "synthetic": dataset.synthetic,
    }
    code = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return digest_of([arrays, facts, options, [asdict(item) for item in accept], code])


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(
        f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    ).hexdigest()


def _write(report: AuditReport, path: Path) -> None:
    """Keep the report, in one step; a folder that cannot be written costs the next run some seconds, no more."""
    part = path.with_name(f".{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(asdict(report), ensure_ascii=False), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        logger.warning("the audit could not be kept for the next run (%s)", error.strerror)
