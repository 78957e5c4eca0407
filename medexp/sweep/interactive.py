"""Pictures of a study as figures of plotly.js: plain dictionaries, coloured by the page that shows them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from medexp.sweep.drawing import limits, ticks, value_of
from medexp.sweep.importance import Importances
from medexp.sweep.pareto import pareto_front
from medexp.sweep.records import Record
from medexp.sweep.trial_table import PLOTTED, Parameter, TrialTable, best_so_far, improvements

COMPLETE, BEST, PRUNED = "#2b8cb4", "#e0566a", "#8a939e"  # legible on white and on black
_SCALE = [[0.0, PRUNED], [0.099, PRUNED], [0.1, "#cfdbe4"], [0.4, "#7fb2c8"], [0.8, COMPLETE], [0.97, "#0d4f6c"],
          [0.971, BEST], [1.0, BEST]]  # fmt: skip
_PARAMETERS, _CURVES = 24, 300


@dataclass(frozen=True)
class Figure:
    """One picture, as `Plotly.newPlot` takes it.

    Args:
        data: the traces.
        layout: what differs from the page's own.
        height: in pixels.
        width: in pixels that it needs at least.
        name: of the picture, where several stand under one heading.
    """

    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 380
    width: int = 300
    name: str = ""


def history(table: TrialTable) -> list[Figure]:
    """The value of each trial over its index and the best so far, for each objective."""
    figures = []
    drawn = table.thinned(PLOTTED)
    for place, objective in enumerate(table.objectives):
        traces = _by_state(drawn, [float(record.index) for record in drawn.records], place)
        best = improvements(best_so_far(table.records, objective, place))
        if best:
            line = {"color": BEST, "width": 2, "shape": "hv"}
            traces.append(_trace("best so far", list(best), list(best.values()), mode="lines", line=line))
        failed = [record for record in drawn.records if record.state == "failed"]
        if failed:
            marker = {"color": BEST, "symbol": "line-ns-open", "size": 9}
            found = _trace("failed", [r.index for r in failed], [0.01] * len(failed), text=_hover(failed, table))
            traces.append({**found, "mode": "markers", "marker": marker, "yaxis": "y2", "hoverinfo": "text"})
        layout = {
            "xaxis": {"title": {"text": "trial"}},
            "yaxis": _value_axis(table, place),
            "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        }
        figures.append(Figure(traces, layout, name=objective.metric if len(table.objectives) > 1 else ""))
    return figures


def importance(found: Mapping[str, Importances], labels: Mapping[str, str]) -> list[Figure]:
    """The share of each parameter in the variance, for each objective that has some."""
    figures = []
    for metric, each in found.items():
        if not each.shares:
            continue
        keys = list(each.shares)[:_PARAMETERS]
        shares = [each.shares[key] for key in keys]
        bar = {
            "type": "bar", "orientation": "h", "x": shares, "y": [labels.get(key, key) for key in keys],
            "marker": {"color": COMPLETE}, "text": [f"{share:.0%}" for share in shares], "textposition": "outside",
            "cliponaxis": False, "hovertext": keys, "hoverinfo": "text",
        }  # fmt: skip
        layout = {
            "xaxis": {
                "tickformat": ".0%",
                "range": [0, max(shares) * 1.12],
                "title": {"text": "share of the variance"},
            },
            "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
        }
        name = metric if len(found) > 1 else ""
        figures.append(Figure([bar], layout, height=110 + 30 * len(keys), name=name))
    return figures


def parallel(table: TrialTable, *, place: int = 0) -> list[Figure]:
    """Each trial that has a value as a line through its parameters; the axes can be moved and brushed."""
    rows = [row for row, record in enumerate(table.records) if value_of(record, place) is not None]
    shown = table.rows(rows)
    if not rows or not shown.parameters:
        return []
    best, objective = table.best, table.objectives[place]
    values = [float(value_of(record, place) or 0.0) for record in shown.records]
    order = sorted(range(len(values)), key=lambda row: values[row], reverse=objective.mode == "min")
    rank = {row: 0.11 + 0.86 * position / max(len(order) - 1, 1) for position, row in enumerate(order)}
    colours = [
        1.0 if best is not None and record.index == best.index else 0.0 if record.state == "pruned" else rank[row]
        for row, record in enumerate(shown.records)
    ]
    axes = [_axis(parameter) for parameter in shown.parameters[:_PARAMETERS]]
    ends = limits(values, None if best is None else best.values[place])
    last = {"label": objective.metric, "values": values, **({"range": list(ends)} if ends else {})}
    line = {"color": colours, "colorscale": _SCALE, "cmin": 0, "cmax": 1}
    trace = {"type": "parcoords", "dimensions": [*axes, last], "line": line, "labelangle": -12, "labelside": "top"}
    layout = {"margin": {"l": 70, "r": 60, "t": 70, "b": 30}}
    return [Figure([trace], layout, height=460, width=130 * (len(axes) + 1) + 80)]


def slices(table: TrialTable, *, place: int = 0) -> list[Figure]:
    """The value of each trial over each parameter."""
    figures = []
    for parameter in table.parameters[:_PARAMETERS]:
        traces = _by_state(table, list(parameter.places), place, legend=False)
        best = table.best
        row = next((r for r, x in enumerate(table.records) if best is not None and x.index == best.index), None)
        if row is not None and best is not None and parameter.places[row] is not None:
            star = {"color": BEST, "symbol": "star", "size": 14}
            found = _trace("best", [parameter.places[row]], [best.values[place]], text=_hover([best], table))
            traces.append({**found, "mode": "markers", "marker": star, "hoverinfo": "text", "showlegend": False})
        marks = ticks(parameter, longest=16)
        axis = {
            "tickvals": [m.place for m in marks],
            "ticktext": [html.escape(m.text) for m in marks],
            "zeroline": False,
        }
        if parameter.kind == "choice":
            axis |= {"range": [-0.5, len(parameter.choices) - 0.5], "automargin": True}
        title = f"{html.escape(parameter.label)}{' (logarithmic)' if parameter.kind == 'log' else ''}"
        layout = {"xaxis": {**axis, "title": {"text": title}}, "yaxis": _value_axis(table, place)}
        figures.append(Figure(traces, layout, height=300))
    return figures


def curves(table: TrialTable) -> list[Figure]:
    """What each trial reported at each step."""
    thin = table.thinned(_CURVES)
    best = table.best
    reported = [record for record in thin.records if record.reports]
    if not reported:
        return []
    traces: list[Mapping[str, Any]] = []
    seen: set[str] = set()
    for record in sorted(reported, key=lambda r: (best is not None and r.index == best.index, r.state == "complete")):
        kind = "best" if best is not None and record.index == best.index else record.state
        steps = sorted(record.reports)
        line = {
            "color": {"best": BEST, "complete": COMPLETE}.get(kind, PRUNED), "width": 3 if kind == "best" else 1,
            "dash": "solid" if kind in ("best", "complete") else "dot",
        }  # fmt: skip
        found = _trace(
            kind, [s + 1 for s in steps], [record.reports[s] for s in steps], line=line, mode="lines+markers"
        )
        sizes = [4] * (len(steps) - 1) + [8 if kind == "pruned" else 4]
        symbols = ["circle"] * (len(steps) - 1) + ["x" if kind == "pruned" else "circle"]
        traces.append({
            **found, "marker": {"size": sizes, "symbol": symbols}, "opacity": 1 if kind == "best" else 0.6,
            "legendgroup": kind, "showlegend": kind not in seen, "text": _hover([record], thin) * len(steps),
            "hoverinfo": "y+text",
        })  # fmt: skip
        seen.add(kind)
    every = [value for record in reported for value in record.reports.values()]
    ends = limits(every, None if best is None else best.values[0])
    axis: dict[str, Any] = {"title": {"text": table.objectives[0].metric}, **({"range": list(ends)} if ends else {})}
    return [Figure(traces, {"xaxis": {"title": {"text": "epoch (or fold)"}}, "yaxis": axis})]


def pareto(table: TrialTable) -> list[Figure]:
    """Each pair of objectives, the Pareto front marked; none of a single objective."""
    front = pareto_front(table.records, table.objectives)
    on_front = {record.index for record in front}
    others = [record for record in table.complete if record.index not in on_front]
    figures = []
    for x, y in combinations(range(len(table.objectives)), 2):
        best = sorted(front, key=lambda record: record.values[x])
        traces = []
        for name, records, colour, size in (("trial", others, COMPLETE, 7), ("Pareto front", best, BEST, 11)):
            found = _trace(
                name, [r.values[x] for r in records], [r.values[y] for r in records], text=_hover(records, table)
            )
            mode = "lines+markers" if colour == BEST and len(table.objectives) == 2 else "markers"
            traces.append({**found, "mode": mode, "marker": {"color": colour, "size": size}, "hoverinfo": "text",
                           "line": {"color": colour, "width": 1}})  # fmt: skip
        names = [f"{table.objectives[p].metric} ({table.objectives[p].mode})" for p in (x, y)]
        figures.append(Figure(traces, {"xaxis": {"title": {"text": names[0]}}, "yaxis": {"title": {"text": names[1]}}}))
    return figures


def _axis(parameter: Parameter) -> dict[str, Any]:
    """A dimension of parallel coordinates. What a trial does not have is below all that others have."""
    present = [place for place in parameter.places if place is not None]
    low, high = (0.0, len(parameter.choices) - 1.0) if parameter.kind == "choice" else (min(present), max(present))
    absent = low - 0.12 * ((high - low) or 1.0)
    marks = [(mark.place, mark.text) for mark in ticks(parameter, longest=14)]
    missing = len(present) < len(parameter.places)
    return {
        "label": parameter.label,
        "values": [absent if place is None else place for place in parameter.places],
        "tickvals": [*([absent] if missing else []), *(place for place, _ in marks)],
        "ticktext": [*(["(absent)"] if missing else []), *(text for _, text in marks)],
    }


def _by_state(
    table: TrialTable, places: Sequence[float | None], place: int, *, legend: bool = True
) -> list[dict[str, Any]]:
    traces = []
    looks = {
        "pruned": ("pruned (last report)", {"color": PRUNED, "symbol": "x-open", "size": 8}),
        "complete": ("complete", {"color": COMPLETE, "size": 8}),
    }
    for state, (name, marker) in looks.items():
        chosen = [
            (record, where, value)
            for record, where in zip(table.records, places, strict=True)
            if record.state == state and where is not None and (value := value_of(record, place)) is not None
        ]
        if chosen:
            text = _hover([record for record, _, _ in chosen], table)
            found = _trace(name, [where for _, where, _ in chosen], [value for _, _, value in chosen], text=text)
            traces.append({**found, "mode": "markers", "marker": marker, "hoverinfo": "text", "showlegend": legend})
    return traces


def _trace(name: str, x: Sequence[Any], y: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {"type": "scatter", "name": name, "x": list(x), "y": list(y), **more}


def _hover(records: Sequence[Record], table: TrialTable) -> list[str]:
    texts = []
    for record in records:
        lines = [f"trial {record.index}: {record.state}"]
        pairs = zip(table.objectives, record.values, strict=False)
        lines += [f"{objective.metric} {value:.4f}" for objective, value in pairs]
        lines += [f"{key}={str(text)[:60]}" for key, text in record.params.items()]
        lines += [record.error.partition("\n")[0][:80]] if record.error else []
        texts.append("<br>".join(html.escape(line) for line in lines))
    return texts


def _value_axis(table: TrialTable, place: int) -> dict[str, Any]:
    values = [value for record in table.records if (value := value_of(record, place)) is not None]
    best = table.best
    ends = limits(values, None if best is None else best.values[place])
    return {"title": {"text": table.objectives[place].metric}, **({"range": list(ends)} if ends else {})}
