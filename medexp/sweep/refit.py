"""Train the best of many again: what it scored is partly luck (the winner's curse)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from medexp.sweep.exhaustive import exhaustive
from medexp.sweep.plan import Plan
from medexp.sweep.records import Record
from medexp.sweep.space import Choice, Space

SEED = "seed"


def refit_plan(plan: Plan, best: Record, *, seed: int, others: Iterable[int], count: int) -> tuple[Plan, Space]:
    """Return the study, and its space, that trains a trial `count` times more: a grid over seeds that no trial has had.

    Args:
        plan: of the search.
        best: the trial.
        seed: of the trials, where the search does not vary it.
        others: seeds that trials had.
        count: how many times.
    """
    used = {seed, *others}
    first = max(used) + 1
    seeds = tuple(str((first + place) % 2**32) for place in range(count))
    space = exhaustive(Space((Choice(SEED, seeds),)))
    name = f"{plan.name}-refit-{best.index}"
    definition = {"refit of": plan.name, "trial": " ".join(best.overrides)}
    refit = replace(
        plan, name=name, space=space, sampler="grid", sampler_options={}, pruner="none", pruner_options={},
        n_trials=count, objectives=plan.objectives[:1], folder=plan.folder / f"refit-{best.index}",
        definition=definition,
    )  # fmt: skip
    return refit, space


def spread(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return mean and standard deviation (n - 1) of each metric that all runs have: `name_mean`, `name_std`."""
    found: dict[str, float] = {}
    for name in sorted(set.intersection(*(set(run) for run in runs))) if runs else ():
        values = [run[name] for run in runs]
        found[f"{name}_mean"] = statistics.fmean(values)
        if len(values) > 1:
            found[f"{name}_std"] = statistics.stdev(values)
    return found


def of_best_epoch(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a run, those of each epoch as they were at the best one: it is what was kept and tested."""
    return {name: metrics.get(f"best_{name}", value) for name, value in metrics.items()}
