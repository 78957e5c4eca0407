"""The jobs of a sweep, best first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.tracking.base import Child
from medexp.types import Objective


def rank(children: Sequence[Child], objective: Objective) -> list[Child]:
    """Return finished jobs by the objective at their best epoch, best first, then the others as they started."""
    metric = f"best_{objective.metric}"
    sign = -1 if objective.mode == "max" else 1
    done = [child for child in children if child.status == "FINISHED" and metric in child.metrics]
    rest = [child for child in children if child not in done]
    return sorted(done, key=lambda child: sign * child.metrics[metric]) + rest


def print_leaderboard(children: Sequence[Child], objective: Objective, *, where: str, table_file: str) -> None:
    """Print the jobs of a sweep to standard output, best first: what differs between them, and their scores."""
    console = wide_console()
    table = Table(
        title=f"{len(children)} jobs, by {objective.metric}", title_justify="left", title_style="bold", box=SIMPLE_HEAD
    )
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("variant", overflow="fold", min_width=24)
    shown = {f"best_{objective.metric}": objective.metric, "test_auc": "test_auc", "test_accuracy": "test_accuracy"}
    for heading in shown.values():
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("run id", no_wrap=True, min_width=32)
    for place, child in enumerate(rank(children, objective), 1):
        finished = child.status == "FINISHED"
        values = [f"{child.metrics[key]:.4f}" if key in child.metrics else "" for key in shown]
        mark = str(place) if finished else child.status.lower()
        table.add_row(mark, _variant(child, children), *values, child.run_id, style=None if finished else "dim")
    console.print(table)
    console.print(f"  compare  {where}\n  table    {table_file}\n  promote  python scripts/promote.py")


def _variant(child: Child, children: Sequence[Child]) -> str:
    """The overrides that not all jobs share."""
    shared = set.intersection(*(set(other.overrides.split()) for other in children))
    return " ".join(item for item in child.overrides.split() if item not in shared) or child.name
