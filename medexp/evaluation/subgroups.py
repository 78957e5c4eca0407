"""Whether a model is as good for everybody: metrics of the images with each value of a metadata column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from medexp.errors import DataError
from medexp.evaluation.evidence import Metrics, Subgroup, SubgroupSection
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.subgroup_columns import MISSING, Unfit, parts_of_column, subgroup_columns
from medexp.evaluation.weighted import WeightedMetrics
from medexp.figure import COLOURS, FAINT, INK, finish, save
from medexp.types import Mode

_ROW, _LONGEST = 0.24, 34  # inches of a row, letters of its name


def subgroup_section(
    predictions: Predictions,
    *,
    thresholds: Mapping[str, float],
    columns: Literal["all"] | Sequence[str],
    smallest: int,
    metric: str = "auc",
    mode: Mode = "max",
    resamples: int,
    confidence: float,
) -> SubgroupSection | None:
    """Return metrics of each subgroup with intervals, and the worst one; None where the data has no metadata.

    Metrics are those of `metric_estimates`, without those of each class; what a subgroup cannot tell (the AUC where all
    have the finding) is left out. Of many subgroups one is worst by chance alone: read its interval.

    Args:
        predictions: of one split.
        thresholds: what `Predictions.decisions` takes.
        columns: names of metadata columns, or `all`.
        smallest: images of the smallest subgroup.
        metric: that says which is worst, without the split.
        mode: whether more of it is better.
        resamples: bootstrap samples.
        confidence: of the intervals.

    Raises:
        DataError: a column that was asked for is not there, or the task has no such metric.
    """
    chosen = subgroup_columns(predictions.metadata, columns)
    if not predictions.metadata:
        return None

    def estimates(part: Predictions) -> Metrics:
        found = metric_estimates(part, thresholds=thresholds, resamples=resamples, confidence=confidence)
        return {name: estimate for name, estimate in found.items() if "/" not in name}

    every = estimates(predictions)
    there = [name for name in WeightedMetrics(predictions, thresholds=thresholds).value() if "/" not in name]
    if metric not in there:
        raise DataError(f"There is no such metric of subgroups. Received: {metric!r}. There is: {', '.join(there)}")
    found: list[Subgroup] = []
    left_out: dict[str, str] = {}
    for name in chosen:
        parts = parts_of_column(name, predictions.metadata[name], smallest=smallest, groups=predictions.groups)
        if isinstance(parts, Unfit):
            left_out[name] = parts.reason
            continue
        for value, images in parts.of.items():
            if (count := int(images.sum())) < smallest:
                left_out[f"{name}={value}"] = f"has {count} image{'' if count == 1 else 's'}, fewer than {smallest}"
                continue
            part = replace(predictions.take(images), metadata={})
            groups = None if part.groups is None else len(set(part.groups))
            found.append(Subgroup(name, value, count, groups, estimates(part)))
    return SubgroupSection(metric, smallest, tuple(found), _worst(found, metric, mode), left_out, every.get(metric))


def draw_subgroups(section: SubgroupSection, path: Path) -> None:
    """Draw the metric of each subgroup with its interval, the worst one marked, beside that of all images."""
    names = list(dict.fromkeys(subgroup.column for subgroup in section.subgroups))
    rows = len(section.subgroups) + len(names)
    figure = Figure(figsize=(7.6, _ROW * max(rows, 2) + 1.2), layout="constrained")
    axes = figure.subplots()
    if section.overall is not None:
        axes.axvspan(section.overall.low, section.overall.high, color=FAINT, alpha=0.45, linewidth=0)
        label = f"all images: {section.overall.value:.3f}"
        axes.axvline(section.overall.value, color=INK, linewidth=1.2, linestyle=":", label=label)
    ticks: dict[float, str] = {}
    at = 0.0
    for column in names:
        ticks[at] = _short(column)
        at += 1
        for subgroup in section.subgroups:
            if subgroup.column != column:
                continue
            value = subgroup.value if subgroup.value != MISSING else "missing"
            ticks[at] = f"{_short(value)} (n={subgroup.images:,})"
            _row(figure, section, subgroup, at)
            at += 1
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    for tick, text in zip(axes.get_yticklabels(), ticks.values(), strict=True):
        tick.set_fontweight("normal" if "(n=" in text else "bold")
    axes.set_ylim(max(at, 1.0) - 0.3, -0.7)
    axes.tick_params(axis="y", length=0)
    finish(axes, title=f"subgroups, {section.metric}", x=section.metric, y="", grid=False)
    axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    save(figure, path)


def _row(figure: Figure, section: SubgroupSection, subgroup: Subgroup, at: float) -> None:
    axes = figure.axes[0]
    estimate = subgroup.metrics.get(section.metric)
    if estimate is None:
        place = section.overall.value if section.overall is not None else 0.5
        axes.text(place, at, "cannot be told", fontsize=7, color=INK, ha="center", va="center", style="italic")
        return
    worst = subgroup == section.worst
    label = f"worst: {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})" if worst else None
    axes.errorbar(
        estimate.value, at, xerr=[[estimate.value - estimate.low], [estimate.high - estimate.value]], fmt="o",
        color=COLOURS[1 if worst else 0], markersize=5, linewidth=1.6, capsize=2.5, label=label,
    )  # fmt: skip


def _worst(found: Sequence[Subgroup], metric: str, mode: Mode) -> Subgroup | None:
    told = [subgroup for subgroup in found if metric in subgroup.metrics]
    sign = 1 if mode == "max" else -1
    return min(told, key=lambda subgroup: sign * subgroup.metrics[metric].value, default=None)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
