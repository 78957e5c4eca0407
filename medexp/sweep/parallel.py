"""Parallel coordinates of a study as a PNG file: each trial a line through its parameters to its value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from medexp.figure import COLOURS, INK, save
from medexp.sweep.drawing import BEST, PRUNED, Tick, limits, text_of, ticks, value_of, wrapped
from medexp.sweep.trial_table import TrialTable

_MOST = 12  # parameters
_COLOURS = LinearSegmentedColormap.from_list("trials", ["#d9e2ea", "#7fb2c8", COLOURS[0], "#08384f"])


@dataclass(frozen=True)
class _Axis:
    """One vertical axis: where each trial crosses it, from 0 to 1 (None: not at all), and its ticks."""

    name: str
    crossings: tuple[float | None, ...]
    ticks: tuple[Tick, ...]


def draw_parallel(table: TrialTable, path: Path, *, place: int = 0) -> bool:
    """Draw each trial that has a value as a line, darker where it is better, pruned ones dashed.

    Return False where no trial has one, or none differ: then there is no picture.
    """
    rows = [row for row, record in enumerate(table.records) if value_of(record, place) is not None]
    shown = table.rows(rows)
    if not rows or not table.parameters:
        return False
    axes_of = _axes(shown, place)
    figure = Figure(figsize=(max(7.2, 1.75 * len(axes_of) + 0.8), 4.6), layout="constrained")
    axes = figure.subplots()
    _lines(axes, shown, axes_of, place)
    for x, axis in enumerate(axes_of):
        axes.plot([x, x], [0, 1], color=INK, linewidth=1.1, zorder=5)
        for tick in axis.ticks:
            axes.plot([x - 0.015, x + 0.015], [tick.place] * 2, color=INK, linewidth=1.1, zorder=5)
            axes.text(
                x + 0.035, tick.place, tick.text, fontsize=7.5, va="center", color=INK, zorder=6,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
        axes.text(x, 1.06, axis.name, fontsize=8.5, ha="center", va="bottom", color=INK, fontweight="bold")
    axes.set_xlim(-0.25, len(axes_of) - 1 + 0.45)
    axes.set_ylim(-0.04, 1.05)
    axes.axis("off")
    save(figure, path)
    return True


def _axes(table: TrialTable, place: int) -> list[_Axis]:
    found = []
    for parameter in table.parameters[:_MOST]:
        places = parameter.places
        present = [p for p in places if p is not None]
        low, high = (0.0, len(parameter.choices) - 1.0) if parameter.kind == "choice" else (min(present), max(present))
        if parameter.kind == "choice":
            low, high = low - 0.3, high + 0.3
        marks = tuple(Tick(_share(t.place, low, high), t.text) for t in ticks(parameter, longest=15))
        crossings = tuple(None if p is None else _share(p, low, high) for p in places)
        found.append(_Axis(wrapped(parameter.label), crossings, marks))
    values = [float(value_of(record, place) or 0.0) for record in table.records]
    return [*found, _value_axis(table, values, place)]


def _value_axis(table: TrialTable, values: Sequence[float], place: int) -> _Axis:
    from matplotlib.ticker import MaxNLocator

    best = table.best
    ends = limits(values, None if best is None else best.values[place])
    low, high = (min(values), max(values)) if ends is None else ends
    marks = [float(value) for value in MaxNLocator(6).tick_values(low, high) if low <= value <= high]
    crossings = tuple(min(1.0, max(0.0, _share(value, low, high))) for value in values)
    name = wrapped(table.objectives[place].metric)
    return _Axis(name, crossings, tuple(Tick(_share(value, low, high), text_of(value)) for value in marks))


def _lines(axes: Axes, table: TrialTable, axes_of: Sequence[_Axis], place: int) -> None:
    sign = 1.0 if table.objectives[place].mode == "max" else -1.0
    values = np.array([sign * float(value_of(record, place) or 0.0) for record in table.records])
    ranks = values.argsort().argsort() / max(len(values) - 1, 1)
    best = table.best
    alpha = max(0.12, min(0.8, 25 / len(values)))
    for row in np.argsort(ranks):
        record = table.records[row]
        is_best = best is not None and record.index == best.index
        crossings = [axis.crossings[row] for axis in axes_of]
        x = [place for place, crossing in enumerate(crossings) if crossing is not None]
        y = [crossing for crossing in crossings if crossing is not None]
        pruned = record.state == "pruned"
        axes.plot(
            x, y, color=BEST if is_best else PRUNED if pruned else _COLOURS(ranks[row]),
            linewidth=2.4 if is_best else 0.8 if pruned else 1.2, linestyle=(0, (4, 3)) if pruned else "-",
            alpha=1.0 if is_best else alpha * (0.6 if pruned else 1.0), zorder=4 if is_best else 1 if pruned else 2,
        )  # fmt: skip
    handles = [("best", BEST, "-"), ("complete, darker is better", COLOURS[0], "-")]
    handles += [("pruned", PRUNED, "--")] if any(record.state == "pruned" for record in table.records) else []
    for label, colour, style in handles:
        axes.plot([], [], color=colour, linestyle=style, label=label)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=len(handles))


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low and math.isfinite(high - low) else 0.5
