"""Sweepers and jobs of a study that trains nothing, in processes of their own, to be killed."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from medexp.sweep.attached import attach
from medexp.sweep.lease import Timing
from medexp.sweep.plan import Plan
from medexp.sweep.records import Order
from medexp.sweep.study import SharedStudy
from medexp.types import Objective

FORK = multiprocessing.get_context("fork")
TIMING = Timing(renew=0.5, watch=1.0, patience=3.0)
EPOCHS = 3


@dataclass(frozen=True)
class ToySpace:
    """A learning rate and an augmentation."""

    policies: tuple[str, ...] = ("none", "light", "strong")

    def overrides(self, trial: Any) -> list[str]:
        rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        policy = trial.suggest_categorical("policy", list(self.policies))
        depth = trial.suggest_int("depth", 1, 5)
        return [f"rate={rate!r}", f"policy={policy}", f"depth={depth}"]

    def describe(self) -> dict[str, str]:
        return {"rate": "tag(log,interval(1e-5,1e-1))", "policy": f"choice({','.join(self.policies)})"}


@dataclass(frozen=True)
class GridSpace:
    """Every pair of a seed and a model."""

    def overrides(self, trial: Any) -> list[str]:
        return [f"model={trial.suggest_categorical('model', ['a', 'b'])}", f"seed={trial.suggest_int('seed', 0, 99)}"]

    def describe(self) -> dict[str, str]:
        return {"model": "a,b", "seed": "range(0,100)"}


class ByIndex(optuna.samplers.BaseSampler):
    """The i-th trial takes the i-th pair."""

    def __init__(self, index: int) -> None:
        self._index = index

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return ["a", "b"][self._index % 2] if param_name == "model" else self._index // 2


def toy_plan(storage: str, folder: Path, **changes: Any) -> Plan:
    plan = Plan(
        name="toy",
        storage=storage,
        objectives=(Objective("val_auc", "max"),),
        space=ToySpace(),
        sampler="tpe",
        sampler_options={},
        pruner="median",
        pruner_options={"n_startup_trials": 3},
        n_trials=12,
        seed=0,
        max_retry=1000,
        definition={"rate": "tag(log,interval(1e-5,1e-1))", "sampler": "tpe"},
        folder=folder,
    )
    return replace(plan, **changes)


def toy_sampler(plan: Plan, index: int) -> optuna.samplers.BaseSampler:
    if plan.sampler == "grid":
        return ByIndex(index)
    return optuna.samplers.TPESampler(seed=plan.seed * 1000 + index, n_startup_trials=4)


def toy_pruner(name: str, options: Any) -> optuna.pruners.BasePruner:
    return optuna.pruners.MedianPruner(**options) if name == "median" else optuna.pruners.NopPruner()


def open_toy(plan: Plan, *, timing: Timing = TIMING, **options: Any) -> SharedStudy:
    return SharedStudy.open(
        plan,
        make_sampler=lambda index: toy_sampler(plan, index),
        make_pruner=lambda: toy_pruner(plan.pruner, plan.pruner_options),
        timing=timing,
        **options,
    )


def score(overrides: tuple[str, ...], epoch: int) -> float:
    """What training would come to: known from what was chosen."""
    values = dict(override.split("=") for override in overrides)
    if "seed" in values:
        return float(values["seed"])
    depth, policy = int(values["depth"]), ["none", "light", "strong"].index(values["policy"])
    return (epoch + 1) / EPOCHS * (1 - abs(float(values["rate"]) - 0.01)) + 0.1 * policy - 0.01 * depth


def job(storage: str, study: str, number: int, folder: Path, pause: float) -> None:
    """Train and tell, and write down beside the study what was done."""
    with attach(storage, study, number, make_pruner=toy_pruner, timing=TIMING, patience=30) as trial:
        _note(folder / "diary", f"began {trial.index} {number}")
        trial.began(f"run-{number}", folder)
        for epoch in range(EPOCHS):
            time.sleep(pause)
            value = score(trial.overrides, epoch)
            trial.report(value, step=epoch)
            if trial.should_prune():
                trial.prune()
                break
        else:
            trial.complete([value])
        if not trial.over:
            _note(folder / "diary", f"told {trial.index} {number}")


def sweeper(plan: Plan, slots: int, pause: float) -> None:
    """Keep `slots` jobs busy until the study has all its trials. The jobs outlive it."""
    os.setpgid(0, 0)
    study = open_toy(plan)
    running: dict[Any, Order] = {}
    while True:
        for process in [p for p in running if p.exitcode is not None]:
            study.ended(running.pop(process).number, error=f"exit {process.exitcode}", killed=process.exitcode != 0)
        study.reap()
        while len(running) + study.orphans() < slots and (order := study.ask()) is not None:
            process = FORK.Process(
                target=job, args=(plan.storage, plan.name, order.number, plan.folder, pause), daemon=False
            )
            process.start()
            _note(plan.folder / "pids", str(process.pid))
            running[process] = order
        if not running and not study.unfinished():
            os._exit(0)
        time.sleep(0.02)


def diary(folder: Path) -> list[tuple[str, int, int]]:
    """What the jobs wrote down, in order: what, index, number."""
    lines = (folder / "diary").read_text().splitlines()
    return [(what, int(index), int(number)) for what, index, number in map(str.split, lines)]


def pids(folder: Path) -> list[int]:
    """The processes of jobs, as they were started."""
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def _note(file: Path, line: str) -> None:
    with file.open("a") as opened:
        opened.write(line + "\n")  # one write: whole or not at all
