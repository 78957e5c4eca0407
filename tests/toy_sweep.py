"""A whole sweep of a study that trains nothing, as a program: `python -m toy_sweep FOLDER N_TRIALS SLOTS PAUSE`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import toy_study
from toy_study import open_toy, toy_plan

from medexp.sweep.driver import drive
from medexp.sweep.nursery import Nursery
from medexp.sweep.outcome import Limits, Outcome
from medexp.sweep.plan import Plan
from medexp.sweep.processes import LocalProcesses
from medexp.sweep.records import Order
from medexp.sweep.study_progress import StudyProgress
from medexp.tracking.killable import killable

ToyJob = Callable[[int, tuple[str, ...]], object]


def plan_in(folder: Path, **changes: Any) -> Plan:
    return toy_plan(str(folder / "store" / "study.journal"), folder, **changes)


def toy_job(folder: Path, pause: float) -> ToyJob:
    """Train and tell; give the trial back on SIGTERM."""
    storage = plan_in(folder).storage

    def job(number: int, overrides: tuple[str, ...]) -> None:
        with killable():
            toy_study.job(storage, "toy", number, folder, pause)

    return job


def sweep(
    plan: Plan,
    job: ToyJob,
    *,
    slots: int = 1,
    limits: Limits | None = None,
    arguments: Callable[[Order], list[str]] | None = None,
) -> Outcome:
    """Run a study to its end, as scripts/train.py does."""
    nursery = Nursery(job, warm=lambda: None)
    jobs = LocalProcesses(nursery, slots=slots, logs=plan.folder / "trials")
    try:
        study = open_toy(plan)
        progress = StudyProgress(plan.objectives, n_trials=plan.n_trials, slots=slots, log=jobs.log)
        return drive(
            study,
            jobs,
            arguments=arguments or (lambda order: list(order.overrides)),
            limits=limits or Limits(),
            progress=progress,
        )
    finally:
        jobs.close()


def main() -> None:
    folder, n_trials, slots, pause = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    nursery_first = toy_job(folder, pause)
    with killable():
        outcome = sweep(plan_in(folder, n_trials=n_trials), nursery_first, slots=slots)
    print(outcome, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
