"""Robustness as a grid of corruptions and severities."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medexp.evaluation.evidence import RobustnessSection
from medexp.evaluation.report.metric_names import HEADLINES, MetricName, metric_name
from medexp.types import Estimate, Task


@dataclass(frozen=True)
class Cell:
    """One severity; `shade` is how far it is from the clean images, 0 to 1 of the farthest."""

    estimate: Estimate
    shade: float


@dataclass(frozen=True)
class Row:
    """One corruption, its cells by severity."""

    corruption: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Grid:
    """One metric under all corruptions."""

    metric: MetricName
    clean: Estimate
    severities: tuple[int, ...]
    rows: tuple[Row, ...]


def robustness_grid(section: RobustnessSection, *, task: Task) -> Grid | None:
    """Return the grid of the task's first metric that was measured; None where none was."""
    names = [name for name in HEADLINES[task] if name in section.clean] or list(section.clean)
    if not names or not section.corrupted:
        return None
    name = names[0]
    clean = section.clean[name]
    found = {(c.corruption, c.severity): c.metrics[name] for c in section.corrupted if name in c.metrics}
    falls = {key: abs(clean.value - estimate.value) for key, estimate in found.items()}
    farthest = max((fall for fall in falls.values() if math.isfinite(fall)), default=0.0) or 1.0
    severities = tuple(sorted({c.severity for c in section.corrupted}))

    def cell(corruption: str, severity: int) -> Cell | None:
        key = (corruption, severity)
        if key not in found:
            return None
        return Cell(found[key], falls[key] / farthest if math.isfinite(falls[key]) else 0.0)

    kinds = dict.fromkeys(c.corruption for c in section.corrupted)
    return Grid(
        metric_name(name),
        clean,
        severities,
        tuple(Row(kind, tuple(cell(kind, s) for s in severities)) for kind in kinds),
    )
