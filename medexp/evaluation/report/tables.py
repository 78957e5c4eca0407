"""Metrics as rows: of all images, and of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.metric_names import MetricName, metric_name, metric_order
from medexp.types import SPLITS, Estimate, Split


@dataclass(frozen=True)
class MetricRow:
    """One metric of all images, by split."""

    name: MetricName
    values: Mapping[str, Estimate]


@dataclass(frozen=True)
class ClassRow:
    """One class; its estimates by metric, in the order of `ClassTable.columns`, None where it has none."""

    name: str
    values: tuple[Estimate | None, ...]


@dataclass(frozen=True)
class ClassTable:
    """Metrics of each class on test."""

    columns: tuple[MetricName, ...]
    rows: tuple[ClassRow, ...]


def metric_rows(facts: Facts) -> tuple[MetricRow, ...]:
    """Return the metrics of all images, test first."""
    splits = {split: facts.evidence.metrics[split] for split in shown_splits(facts)}
    names = {name for metrics in splits.values() for name in metrics if "/" not in name}
    return tuple(
        MetricRow(metric_name(name), {split: metrics[name] for split, metrics in splits.items() if name in metrics})
        for name in sorted(names, key=metric_order)
    )


def shown_splits(facts: Facts) -> tuple[Split, ...]:
    """Return the splits that were measured, test first."""
    return tuple(split for split in reversed(SPLITS) if facts.evidence.metrics.get(split))


def class_table(facts: Facts, metrics: Mapping[str, Estimate] | None = None) -> ClassTable | None:
    """Return the metrics named `<metric>/<class>` (those of test); None where there are none."""
    measured = facts.evidence.metrics.get("test", {}) if metrics is None else metrics
    values: dict[tuple[str, str], Estimate] = {}
    for name, value in measured.items():
        metric, slash, key = name.partition("/")
        if slash:
            values[metric, key] = value
    if not values:
        return None
    columns = sorted({metric for metric, _ in values}, key=metric_order)
    there = dict.fromkeys(key for _, key in values)
    keys = [*(key for key in facts.class_keys if key in there), *(key for key in there if key not in facts.class_keys)]
    return ClassTable(
        tuple(metric_name(column) for column in columns),
        tuple(ClassRow(facts.class_keys.get(key, key), tuple(values.get((c, key)) for c in columns)) for key in keys),
    )
