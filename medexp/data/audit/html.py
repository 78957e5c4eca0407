"""The audit as one page to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medexp.data.audit.catalogue import KINDS, Kind
from medexp.data.audit.findings import Finding, Instance
from medexp.data.audit.overrides import accept_items, accept_override, accept_yaml
from medexp.data.audit.report import AuditReport
from medexp.data.audit.thumbnails import thumbnails
from medexp.data.dataset import Dataset

SHOWN = 24
_IMAGES = 6


@dataclass(frozen=True)
class _Interval:
    """An area under the curve as a bar from 0.5 (chance) to 1; places in percent of the width."""

    value: float
    low: float
    high: float
    level: float

    @property
    def places(self) -> Mapping[str, float]:
        return {name: min(100.0, max(0.0, 200 * (x - 0.5))) for name, x in vars(self).items()}


@dataclass(frozen=True)
class _Section:
    """One finding as the page shows it: the instances that are refused first, of the accepted ones those that fit."""

    finding: Finding
    kind: Kind
    shown: tuple[Instance, ...]
    hidden: int
    refused: int
    accepted: int
    intervals: tuple[_Interval, ...]


def write_html(report: AuditReport, dataset: Dataset, path: Path) -> None:
    """Write a page that needs nothing beside it: style inline, pictures as `data:` addresses, no script.

    Args:
        report: of the audit.
        dataset: that was audited; its prepared pixels are shown.
        path: of the page; its folder exists.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    sections = [_section(finding) for finding in report.findings]
    rows = [image.row for section in sections for item in section.shown for image in item.images[:_IMAGES]]
    environment = Environment(
        loader=PackageLoader("medexp.data.audit", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.jinja").render(
        report=report,
        sections=sections,
        pictures=thumbnails(dataset, rows),
        most_images=_IMAGES,
        side=max(dataset.pixels.input.height, dataset.pixels.input.width),
        classes=dataset.class_names,
        task=dataset.task,
        groups=None if dataset.groups is None else len(set(dataset.groups)),
        acceptable=bool(accept_items(report.refused)),
        override=accept_override(report.refused),
        yaml=accept_yaml(report.refused),
    )
    path.write_text(page, encoding="utf-8")


def _section(finding: Finding) -> _Section:
    ordered = sorted(finding.instances, key=lambda instance: instance.accepted is not None)
    accepted = sum(instance.accepted is not None for instance in ordered)
    return _Section(
        finding=finding,
        kind=KINDS[finding.kind],
        shown=tuple(ordered[:SHOWN]),
        hidden=max(0, len(ordered) - SHOWN),
        refused=len(ordered) - accepted if finding.severity == "refuse" else 0,
        accepted=accepted,
        intervals=tuple(
            _Interval(*(instance.numbers[name] for name in ("auc", "low", "high", "level")))
            for instance in ordered
            if {"auc", "low", "high", "level"} <= instance.numbers.keys()
        ),
    )
