"""The trials of a sweep, best first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.sweep.brief import brief
from medexp.sweep.pareto import pareto_front
from medexp.sweep.records import Record
from medexp.tracking.base import Child
from medexp.types import Objective

TOP = 20
_WIDEST = 10_000  # columns of a table
_ORDER = ("complete", "running", "waiting", "pruned", "killed", "failed")
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
_STATUSES = {"FINISHED": "complete", "FAILED": "failed", "RUNNING": "running", "KILLED": "killed"}
_MORE = ("test_auc", "test_accuracy")


@dataclass(frozen=True)
class Row:
    """One trial, as a table shows it.

    Args:
        state: complete, pruned, failed, running, waiting or killed.
        values: one for each objective; empty where there is none.
        overrides: what it was, as Hydra overrides.
        run_id: of its run, where it has one.
        index: of the trial; None of a job that is none.
        metrics: of its run.
        note: why it failed.
        front: whether it is on the Pareto front of several objectives.
    """

    state: str
    values: tuple[float, ...]
    overrides: tuple[str, ...]
    run_id: str | None
    index: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    front: bool = False


@dataclass(frozen=True)
class Leaderboard:
    """Trials in their order, and how many there are of each state, which may be more.

    Args:
        rows: the best first.
        objectives: that they are sorted by.
        counts: trials by state; those that are not in `rows` too.
    """

    rows: tuple[Row, ...]
    objectives: tuple[Objective, ...]
    counts: Mapping[str, int]

    @classmethod
    def of_records(
        cls, records: Sequence[Record], objectives: Sequence[Objective], children: Mapping[str, Child] | None = None
    ) -> Leaderboard:
        """Make it of a study's trials, with the metrics of their runs where they are known (by run id)."""
        front = {record.index for record in pareto_front(records, objectives)} if len(objectives) > 1 else set()
        rows = [
            Row(
                state=record.state,
                values=record.values,
                overrides=record.overrides,
                run_id=record.run_id,
                index=record.index,
                metrics=child.metrics if record.run_id and (child := (children or {}).get(record.run_id)) else {},
                note=(record.error or "").strip().partition("\n")[0],
                front=record.index in front,
            )
            for record in records
        ]
        return cls(tuple(ranked(rows, objectives)), tuple(objectives), Counter(row.state for row in rows))

    def with_metrics(self, children: Sequence[Child]) -> Leaderboard:
        """The same, with the metrics of these runs."""
        known = {child.run_id: child.metrics for child in children}
        rows = tuple(replace(row, metrics=known[row.run_id]) if row.run_id in known else row for row in self.rows)
        return replace(self, rows=rows)

    @classmethod
    def of_children(
        cls, children: Sequence[Child], objectives: Sequence[Objective], counts: Mapping[str, int] | None = None
    ) -> Leaderboard:
        """Make it of the runs alone: the objective is that of the best epoch."""
        rows = []
        for child in children:
            found = [_score(child.metrics, objective.metric) for objective in objectives]
            values = tuple(value for value in found if value is not None)
            rows.append(
                Row(
                    state=_STATES.get(child.state) or _STATUSES.get(child.status, child.status.lower()),
                    values=values if len(values) == len(objectives) else (),
                    overrides=tuple(child.overrides.split()),
                    run_id=child.run_id,
                    index=child.trial,
                    metrics=child.metrics,
                )
            )
        return cls(tuple(ranked(rows, objectives)), tuple(objectives), counts or Counter(row.state for row in rows))


def ranked(rows: Sequence[Row], objectives: Sequence[Objective]) -> list[Row]:
    """Return complete trials by the (first) objective, of several the Pareto front before the others; then the rest."""
    sign = -1 if objectives[0].mode == "max" else 1

    def place(row: Row) -> tuple[int, bool, float, int]:
        value = sign * row.values[0] if row.values and not math.isnan(row.values[0]) else math.inf
        state = _ORDER.index(row.state) if row.state in _ORDER else len(_ORDER)
        return state, not row.front, value, -1 if row.index is None else row.index

    return sorted(rows, key=place)


def print_leaderboard(
    board: Leaderboard, *, top: int = TOP, title: str = "", hints: Mapping[str, str] | None = None
) -> None:
    """Print trials to standard output, best first: what differs between them, their scores, their runs.

    Args:
        board: the trials.
        top: how many are shown.
        title: what they are; how many follows it.
        hints: what to do next, by name, below the table.
    """
    console = wide_console()
    shown = board.rows[:top]
    total = sum(board.counts.values())
    counted = ", ".join(f"{board.counts[state]:,} {state}" for state in _ORDER if board.counts.get(state))
    by = ", ".join(f"{objective.metric} ({objective.mode})" for objective in board.objectives)
    table = Table(
        title=f"{title}{': ' if title else ''}{total:,} trial{'s' if total != 1 else ''}: {counted or 'none'}; by {by}",
        title_justify="left", title_style="bold", box=SIMPLE_HEAD,
    )  # fmt: skip
    several = len(board.objectives) > 1
    table.add_column("", justify="right", no_wrap=True)
    numbered = any(row.index is not None for row in shown)
    if numbered:
        table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("variant", overflow="fold", min_width=24)
    more = [name for name in _MORE if any(name in row.metrics for row in shown)]
    for heading in (*(objective.metric for objective in board.objectives), *more):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("run id", no_wrap=True, min_width=32)
    shared = shared_overrides(board.rows)
    for place, row in enumerate(shown, 1):
        done = row.state == "complete"
        scores = [f"{value:.4f}" for value in row.values] or [""] * len(board.objectives)
        scores += [f"{row.metrics[name]:.4f}" if name in row.metrics else "" for name in more]
        mark = f"{'* ' if row.front else ''}{place}" if done else row.state
        variant = brief(override for override in row.overrides if override not in shared) or "(as configured)"
        table.add_row(
            mark, *([_text(row.index)] if numbered else []), f"{variant}\n{row.note}" if row.note else variant, *scores,
            row.run_id or "", style=None if done else "dim",
        )  # fmt: skip
    least = console.measure(table, options=console.options.update(max_width=_WIDEST)).minimum
    console.width = max(console.width, least)  # else a run id would be cut
    console.print(table)
    if several:
        console.print("  * on the Pareto front: no trial is better in every objective.")
    if total > len(shown):
        console.print(f"  {total - len(shown):,} more are not shown.")
    for name, text in (hints or {}).items():
        console.print(f"  {name:<8} {text}", soft_wrap=True)


def shared_overrides(rows: Sequence[Row]) -> frozenset[str]:
    """Return the overrides that all rows have: they tell none from another. Of a single row none."""
    given = [frozenset(row.overrides) for row in rows if row.overrides]
    return frozenset.intersection(*given) if len(given) > 1 else frozenset()


def _score(metrics: Mapping[str, float], name: str) -> float | None:
    """The objective at the best epoch; as it is, where a run has only that."""
    return metrics.get(f"best_{name}", metrics.get(name))


def _text(index: int | None) -> str:
    return "" if index is None else str(index)
