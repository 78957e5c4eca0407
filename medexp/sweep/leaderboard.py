"""The jobs of a sweep, best first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from medexp.tracking.base import Child
from medexp.types import Objective


def rank(children: Sequence[Child], objective: Objective) -> list[Child]:
    """Return finished jobs by the objective at their best epoch, best first, then the others as they started."""
    metric = f"best_{objective.metric}"
    sign = -1 if objective.mode == "max" else 1
    done = [child for child in children if child.status == "FINISHED" and metric in child.metrics]
    rest = [child for child in children if child not in done]
    return sorted(done, key=lambda child: sign * child.metrics[metric]) + rest


def print_leaderboard(children: Sequence[Child], objective: Objective, *, where: str, folder: str) -> None:
    """Print the jobs of a sweep to standard output, best first, with their test metrics."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(
        title=f"{len(children)} jobs, by {objective.metric}", title_justify="left", title_style="bold", box=SIMPLE_HEAD
    )
    table.add_column("")
    table.add_column("overrides", no_wrap=True)
    shown = {f"best_{objective.metric}": objective.metric, "test_auc": "test_auc", "test_accuracy": "test_accuracy"}
    for heading in shown.values():
        table.add_column(heading, justify="right")
    table.add_column("run", no_wrap=True)
    for place, child in enumerate(rank(children, objective), 1):
        finished = child.status == "FINISHED"
        values = [f"{child.metrics[key]:.4f}" if key in child.metrics else "" for key in shown]
        mark = str(place) if finished else child.status.lower()
        table.add_row(mark, child.overrides or child.name, *values, child.run_id, style=None if finished else "dim")
    console.print(table)
    console.print(f"  compare  {where}\n  table    {folder}\n  promote  python scripts/promote.py")
