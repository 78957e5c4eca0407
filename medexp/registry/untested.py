"""Runs that were validated only, as trials of a search: what a promotion says of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run

    from medexp.types import Objective


def untested(runs: Sequence[Run], metric: str, objective: Objective) -> str | None:
    """Return a sentence about the best of `runs` that has no model because it was not tested; None without such a one.

    Args:
        runs: finished ones.
        metric: the name in the store of the objective at the best epoch.
        objective: its direction.
    """
    found = [run for run in runs if metric in run.data.metrics and not _tested(run)]
    if not found:
        return None
    sign = -1 if objective.mode == "max" else 1
    best = min(found, key=lambda run: sign * run.data.metrics[metric])
    which = "It" if len(found) == 1 else f"The best of {len(found)}"
    return (
        f"{which} was validated only, as a trial of a search: it was not tested, and has no model. Received: "
        f"run {best.info.run_id}, {metric}={best.data.metrics[metric]:.4f}. Train it with its test and its export: "
        f"{_command(best)}"
    )


def _tested(run: Run) -> bool:
    return any(name.startswith("test_") for name in run.data.metrics) or "medexp.model_id" in run.data.tags


def _command(run: Run) -> str:
    overrides = [
        item
        for item in run.data.tags.get("medexp.overrides", "").split()
        if item.partition("=")[0].lstrip("+~").partition(".")[0] not in ("search", "sweep")
    ]
    return shlex.join(["python", "scripts/train.py", *overrides])
