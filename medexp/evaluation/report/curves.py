"""The curves of a training as lines of an SVG, which follows the page into dark and onto paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 340, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 26  # margins of the axes


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, in units of the picture, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """One metric over the epochs; `points` are those of an SVG polyline, `dot` the last one."""

    name: str
    points: str
    dot: tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One metric, of training and validation; `best` is where the best epoch stands."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    best: float | None


def best_epoch(history: Sequence[Mapping[str, float]], *, metric: str, mode: str) -> int | None:
    """Return the epoch (1-based) with the best value of `metric`, the first of equals; None where it has no value."""
    values = [(row.get(metric, math.nan), -epoch) for epoch, row in enumerate(history, 1)]
    known = [(value, epoch) for value, epoch in values if math.isfinite(value)]
    if not known:
        return None
    return -max(known)[1] if mode == "max" else -min(known, key=lambda item: (item[0], -item[1]))[1]


def panels(history: Sequence[Mapping[str, float]], *, best: int | None) -> tuple[Panel, ...]:
    """Return a panel for each metric that training and validation share, then one for the learning rate."""
    if not history:
        return ()
    shared = [name for name in history[0] if f"val_{name}" in history[0]]
    groups = [(name, {"training": name, "validation": f"val_{name}"}) for name in shared]
    if "learning_rate" in history[0]:
        groups.append(("learning rate", {"training": "learning_rate"}))
    drawn = (_panel(title, keys, history, best) for title, keys in groups)
    return tuple(panel for panel in drawn if panel is not None)


def _panel(
    title: str, keys: Mapping[str, str], history: Sequence[Mapping[str, float]], best: int | None
) -> Panel | None:
    from matplotlib.ticker import MaxNLocator

    rows = {name: [(e, row.get(key, math.nan)) for e, row in enumerate(history, 1)] for name, key in keys.items()}
    known = {name: [(e, v) for e, v in row if math.isfinite(v)] for name, row in rows.items()}
    values = [value for row in known.values() for _, value in row]
    if not values:
        return None
    levels = MaxNLocator(nbins=4, min_n_ticks=3).tick_values(min(values), max(values))
    low, high = float(levels[0]), float(levels[-1])
    if max(values) <= 1 < high:  # no metric that stays below 1 goes beyond it
        high = 1.0
    epochs = len(history)

    def x(epoch: float) -> float:
        share = 0.5 if epochs == 1 else (epoch - 1) / (epochs - 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    marks = MaxNLocator(nbins=5, integer=True).tick_values(1, epochs) if epochs > 1 else [1]
    return Panel(
        title=title.replace("_", " "),
        lines=tuple(
            Line(name, " ".join(f"{x(e)},{y(v)}" for e, v in row), (x(row[-1][0]), y(row[-1][1])))
            for name, row in known.items()
            if row
        ),
        x_ticks=tuple(Tick(x(mark), f"{mark:g}") for mark in marks if 1 <= mark <= epochs),
        y_ticks=tuple(
            Tick(y(float(level)), _short(float(level), highest=high)) for level in levels if level <= high + 1e-9
        ),
        best=None if best is None else x(best),
    )


def _short(level: float, *, highest: float) -> str:
    """Few letters, so that they fit beside the axis."""
    if level == 0 or highest >= 0.01:
        return f"{level:.4g}"
    return f"{level:.1e}".replace("e-0", "e-").replace(".0e", "e")
