"""Robustness as grids of corruptions and severities, and where it first breaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medexp.evaluation.evidence import RobustnessSection
from medexp.evaluation.report.metric_names import HEADLINES, MetricName, metric_name
from medexp.types import Estimate, Task

FULL = 0.3  # a fall that has the full shade
BREAK = 0.1  # a fall that is worth a word


@dataclass(frozen=True)
class Cell:
    """One severity; `shade` is how far it is from the clean images, 0 to 1."""

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


@dataclass(frozen=True)
class Break:
    """A metric that falls, beyond chance, under a corruption."""

    corruption: str
    severity: int
    metric: MetricName
    clean: Estimate
    worse: Estimate


def robustness_grids(section: RobustnessSection, *, task: Task) -> tuple[Grid, ...]:
    """Return a grid for each of the task's first metrics that was measured and is better the higher it is."""
    kinds = dict.fromkeys(item.corruption for item in section.corrupted)
    severities = tuple(sorted({item.severity for item in section.corrupted}))
    found = {(item.corruption, item.severity): item.metrics for item in section.corrupted}

    def cell(name: str, corruption: str, severity: int) -> Cell | None:
        estimate = found.get((corruption, severity), {}).get(name)
        if estimate is None:
            return None
        fall = abs(section.clean[name].value - estimate.value)
        return Cell(estimate, min(1.0, fall / FULL) if math.isfinite(fall) else 0.0)

    return tuple(
        Grid(
            metric_name(name),
            section.clean[name],
            severities,
            tuple(Row(kind, tuple(cell(name, kind, severity) for severity in severities)) for kind in kinds),
        )
        for name in _names(section, task)
    )


def first_break(section: RobustnessSection, *, task: Task) -> Break | None:
    """Return where a metric falls by more than `BREAK` at the lowest severity, the deepest fall of these; or None."""
    breaks = [
        Break(item.corruption, item.severity, metric_name(name), section.clean[name], item.metrics[name])
        for item in section.corrupted
        for name in _names(section, task)
        if name in item.metrics
        and item.metrics[name].high < section.clean[name].value
        and section.clean[name].value - item.metrics[name].value > BREAK
    ]
    return min(breaks, key=lambda found: (found.severity, found.worse.value - found.clean.value), default=None)


def _names(section: RobustnessSection, task: Task) -> tuple[str, ...]:
    """Metrics of which more is better, three at most."""
    high = [name for name in HEADLINES[task] if metric_name(name).share or name == "quadratic_kappa"]
    return tuple(name for name in high if name in section.clean)[:3]
