"""Pictures of a study as PNG files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from medexp.figure import INK, WIDTH, finish, save
from medexp.sweep.drawing import BEST, COMPLETE, MARKERS, PRUNED, limits, ticks, value_of, wrapped
from medexp.sweep.importance import Importances
from medexp.sweep.pareto import pareto_front
from medexp.sweep.records import Record
from medexp.sweep.trial_table import PLOTTED, Parameter, TrialTable, best_so_far, improvements

_COLUMNS = 3  # of small pictures beside each other
_CURVES = 200


def draw_history(table: TrialTable, path: Path) -> None:
    """Draw the value of each trial over its index, and the best so far, one picture below another by objective."""
    count, drawn = len(table.objectives), table.thinned(PLOTTED)
    figure = Figure(figsize=(8.4, 3.6 * count), layout="constrained")
    for place, (axes, objective) in enumerate(zip(_flat(figure, count, 1), table.objectives, strict=True)):
        _scatter(axes, drawn.records, [float(record.index) for record in drawn.records], place)
        best = improvements(best_so_far(table.records, objective, place))
        if best:
            axes.step(list(best), list(best.values()), where="post", color=BEST, linewidth=WIDTH, label="best so far")
        failed = [record.index for record in drawn.records if record.state == "failed"]
        if failed:
            axes.plot(
                failed, [0.015] * len(failed), "|", color=BEST, markersize=8, transform=axes.get_xaxis_transform(),
                label="failed", clip_on=False,
            )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _clip(axes, table, place)
        title = "value of each trial" if count == 1 else objective.metric
        finish(axes, title=title, x="trial", y=objective.metric, legend_outside=True)
    save(figure, path)


def draw_importances(found: Mapping[str, Importances], labels: Mapping[str, str], path: Path) -> bool:
    """Draw the share of each parameter, by objective; return False where there are none, and no picture."""
    shown = {metric: dict(list(each.shares.items())[:20]) for metric, each in found.items() if each.shares}
    if not shown:
        return False
    rows = max(len(shares) for shares in shown.values())
    figure = Figure(figsize=(5.6 * len(shown) + 0.8, 1.3 + 0.36 * rows), layout="constrained")
    for axes, (metric, shares) in zip(_flat(figure, 1, len(shown)), shown.items(), strict=True):
        names = [wrapped(labels.get(key, key), 24) for key in shares]
        bars = axes.barh(names, list(shares.values()), color=COMPLETE, height=0.62)
        axes.bar_label(bars, labels=[f"{share:.0%}" for share in shares.values()], padding=4, fontsize=8, color=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, min(1.0, max(shares.values())) * 1.15)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        finish(axes, title=f"what {metric} depends on", x="share of its variance (fANOVA)", y="", grid=False)
    save(figure, path)
    return True


def draw_slices(table: TrialTable, path: Path, *, place: int = 0) -> bool:
    """Draw the value of each trial over each parameter; return False where there is none, and no picture."""
    shown = table.parameters[:12]
    if not shown:
        return False
    columns = min(_COLUMNS, len(shown))
    lines = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(4.0 * columns, 3.3 * lines), layout="constrained")
    every = _flat(figure, lines, columns)
    for axes in every[len(shown) :]:
        axes.set_visible(False)
    for axes, parameter in zip(every, shown, strict=False):
        _slice(axes, table, parameter, place)
    every[0].legend(frameon=False, fontsize=7, loc="best")
    save(figure, path)
    return True


def draw_pareto(table: TrialTable, path: Path) -> bool:
    """Draw each pair of objectives, the Pareto front marked; return False of a single objective."""
    if len(table.objectives) < 2:
        return False
    pairs = list(combinations(range(len(table.objectives)), 2))
    columns = min(_COLUMNS, len(pairs))
    figure = Figure(figsize=(5.0 * columns, 4.2 * math.ceil(len(pairs) / columns)), layout="constrained")
    front = pareto_front(table.records, table.objectives)
    every = _flat(figure, math.ceil(len(pairs) / columns), columns)
    for axes in every[len(pairs) :]:
        axes.set_visible(False)
    for axes, (x, y) in zip(every, pairs, strict=False):
        points = [record.values for record in table.complete if len(record.values) > y]
        axes.scatter([p[x] for p in points], [p[y] for p in points], s=26, label="trial", **MARKERS["complete"])
        best = sorted((record.values[x], record.values[y], record.index) for record in front)
        line = "-" if len(pairs) == 1 else ""
        axes.plot(
            [b[0] for b in best], [b[1] for b in best], line, marker="o", color=BEST, markersize=7,
            linewidth=WIDTH / 2, markeredgecolor="white", label="Pareto front, by trial",
        )  # fmt: skip
        if len(best) <= 15:
            for first, second, index in best:
                axes.annotate(
                    str(index), (first, second), xytext=(6, 5), textcoords="offset points", fontsize=8, color=INK
                )
        names = [f"{table.objectives[p].metric} ({table.objectives[p].mode})" for p in (x, y)]
        finish(axes, title="", x=names[0], y=names[1])
    save(figure, path)
    return True


def draw_curves(table: TrialTable, path: Path) -> bool:
    """Draw what each trial reported at each step, where it was pruned marked; return False where nothing was."""
    reported = [record for record in table.thinned(_CURVES).records if record.reports]
    if not reported:
        return False
    objective, best = table.objectives[0], table.best
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    axes = figure.subplots()
    labelled: set[str] = set()
    for record in sorted(reported, key=lambda record: (record is best, record.state == "complete")):
        kind = "best" if best is not None and record.index == best.index else record.state
        steps = sorted(record.reports)
        colour = {"best": BEST, "complete": COMPLETE}.get(kind, PRUNED)
        axes.plot(
            [step + 1 for step in steps], [record.reports[step] for step in steps], color=colour,
            linewidth=WIDTH if kind == "best" else 1.0, alpha=1.0 if kind == "best" else 0.55,
            linestyle="-" if kind in ("best", "complete") else "--", markersize=3,
            marker="o" if len(steps) == 1 else None,
            label=None if kind in labelled else kind, zorder=3 if kind == "best" else 2,
        )  # fmt: skip
        if kind == "pruned":
            axes.plot(
                steps[-1] + 1, record.reports[steps[-1]], "X", color=PRUNED, markersize=6, markeredgecolor="white"
            )
        labelled.add(kind)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    every = [value for record in reported for value in record.reports.values()]
    if (ends := limits(every, None if best is None else best.values[0])) is not None:
        axes.set_ylim(*ends)
    finish(axes, title="what each trial reported", x="epoch (or fold)", y=objective.metric, legend_outside=True)
    save(figure, path)
    return True


def _slice(axes: Axes, table: TrialTable, parameter: Parameter, place: int) -> None:
    places = list(parameter.places)
    if parameter.kind == "choice":  # next to each other, not on top of each other
        shift = np.random.default_rng(0).uniform(-0.14, 0.14, len(places))
        places = [None if p is None else p + float(s) for p, s in zip(places, shift, strict=True)]
        axes.set_xlim(-0.5, len(parameter.choices) - 0.5)
    _scatter(axes, table.records, places, place)
    marks = ticks(parameter, most=5, longest=14)
    crowded = parameter.kind == "choice" and sum(len(mark.text) + 2 for mark in marks) > 34
    axes.set_xticks([mark.place for mark in marks], [mark.text for mark in marks], fontsize=8)
    if crowded:
        axes.tick_params(axis="x", labelrotation=35)
        for text in axes.get_xticklabels():
            text.set_horizontalalignment("right")
            text.set_rotation_mode("anchor")
    axes.tick_params(axis="y", labelsize=8)
    best = table.best
    row = next((r for r, record in enumerate(table.records) if best is not None and record.index == best.index), None)
    if row is not None and best is not None and (where := places[row]) is not None:
        star: dict[str, Any] = {"color": BEST, "markersize": 13, "markeredgecolor": "white"}
        axes.plot(where, best.values[place], "*", label="best", zorder=4, **star)
    _clip(axes, table, place)
    finish(axes, title=wrapped(parameter.label, 30), x="logarithmic" if parameter.kind == "log" else "", y="")
    axes.set_ylabel(table.objectives[place].metric, fontsize=8, color=INK)
    if (legend := axes.get_legend()) is not None:
        legend.remove()


def _scatter(axes: Axes, records: Sequence[Record], places: Sequence[float | None], place: int) -> None:
    """Trials by their state: complete ones filled, pruned ones hollow crosses at their last report."""
    size = 26 if len(records) <= 300 else 9
    for state in ("pruned", "complete"):
        points = [
            (where, value)
            for record, where in zip(records, places, strict=True)
            if record.state == state and where is not None and (value := value_of(record, place)) is not None
        ]
        if points:
            label = "pruned (last report)" if state == "pruned" else state
            axes.scatter([p[0] for p in points], [p[1] for p in points], s=size, label=label, **MARKERS[state])


def _clip(axes: Axes, table: TrialTable, place: int) -> None:
    values = [value for record in table.records if (value := value_of(record, place)) is not None]
    best = table.best
    ends = limits(values, None if best is None else best.values[place])
    if ends is not None:
        axes.set_ylim(*ends)
        outside = sum(not ends[0] <= value <= ends[1] for value in values)
        axes.annotate(
            f"{outside} outside", (0.99, 0.02), xycoords="axes fraction", ha="right", fontsize=7, color=PRUNED
        )


def _flat(figure: Figure, lines: int, columns: int) -> list[Axes]:
    return list(np.atleast_1d(figure.subplots(lines, columns)).flat)
