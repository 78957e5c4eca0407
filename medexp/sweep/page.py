"""The page of a study: one file that works without a network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medexp.sweep import interactive
from medexp.sweep.importance import Importances
from medexp.sweep.interactive import Figure
from medexp.sweep.leaderboard import Leaderboard, shared_overrides
from medexp.sweep.trial_table import PLOTTED, TrialTable

_STATES = ("complete", "pruned", "failed", "running", "waiting")
_ROWS = 200


@dataclass(frozen=True)
class _Section:
    """A heading, a sentence, and the numbers of its figures in the page."""

    title: str
    text: str
    figures: tuple[tuple[int, Figure], ...]
    small: bool


def write_page(
    table: TrialTable, found: Mapping[str, Importances], path: Path, *, name: str, command: str | None
) -> None:
    """Write the page: best trial and its command, pictures that answer to the mouse, the trials.

    plotly.js is in it, once (5 MB), and the data: it needs nothing beside it. It follows the reader's light or dark.

    Args:
        table: of all trials; of very many a thousand are drawn.
        found: importances by objective.
        path: of the page.
        name: of the study.
        command: that trains the best again; None where there is none.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    sections, figures = _sections(table.thinned(PLOTTED), table, found)
    board = Leaderboard.of_records(table.records, table.objectives)
    shared = shared_overrides(board.rows)
    environment = Environment(
        loader=PackageLoader("medexp.sweep", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    best = table.best
    more = len(board.rows) - _ROWS
    text = environment.get_template("study.html.jinja").render(
        title=f"Study {name}",
        subtitle=f"By {', '.join(f'{o.metric} ({o.mode})' for o in table.objectives)}.",
        counts={state: count for state in _STATES if (count := table.count(state)) or state == "complete"},
        best=best,
        values=list(zip(table.objectives, best.values, strict=True)) if best is not None else [],
        command=command or "",
        sections=sections,
        objectives=table.objectives,
        rows=board.rows[:_ROWS],
        table_text="Best first; trials.csv has all that is known of them."
        + (f" {more:,} more are not shown here." if more > 0 else "")
        + (f" All have {' '.join(sorted(shared))}." if shared else ""),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704  ours, no text of a user
        figures=Markup(_json(figures)),  # noqa: S704  no tag can begin in it
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _sections(
    drawn: TrialTable, table: TrialTable, found: Mapping[str, Importances]
) -> tuple[list[_Section], list[Figure]]:
    labels = {parameter.key: parameter.label for parameter in table.parameters}
    remarks = " ".join(dict.fromkeys(each.remark for each in found.values() if each.remark))
    thin = len(drawn.records) < len(table.records)
    some = f" {len(drawn.records):,} of {len(table.records):,} trials are drawn." if thin else ""
    candidates: list[tuple[str, str, Sequence[Figure], bool]] = [
        ("History", f"The value of each trial, and the best so far.{some}", interactive.history(table), False),
        (
            "Pareto front",
            "No trial is better in every objective than one on the front.",
            interactive.pareto(drawn),
            False,
        ),
        (
            "Importances",
            f"How much of the variance each parameter explains (fANOVA), over what was tried. {remarks}",
            interactive.importance(found, labels),
            False,
        ),
        (
            "Parallel coordinates",
            "Each line is a trial: red the best, darker is better, grey pruned. Drag along an axis to select, drag its "
            "name to move it.",
            interactive.parallel(drawn),
            False,
        ),
        ("Slices", "The value over each parameter, the others as they came.", interactive.slices(drawn), True),
        (
            "Curves",
            "What each trial reported as it trained; a cross is where it was pruned.",
            interactive.curves(drawn),
            False,
        ),
    ]
    sections: list[_Section] = []
    figures: list[Figure] = []
    for title, text, ours, small in candidates:
        if ours or (title == "Importances" and remarks):
            shown = remarks if not ours else text.strip()
            numbered = tuple(enumerate(ours, len(figures)))
            sections.append(_Section(title, shown, numbered, small))
            figures += ours
    return sections, figures


def _json(figures: Sequence[Figure]) -> str:
    """JSON that may stand inside a `script` element."""
    plain = [{"data": _finite(figure.data), "layout": figure.layout} for figure in figures]
    return json.dumps(plain, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    """Put null where JSON knows no number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
