"""A multirun from beginning to end: a study, its parent run, the jobs of its trials."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.medexp_sweeper._job import Frameworks, TrialJob
from hydra_plugins.medexp_sweeper._launcher import LauncherJobs
from hydra_plugins.medexp_sweeper._plan import Asked, asked, study_of_command
from hydra_plugins.medexp_sweeper._results import pool_folds, same_command, say_refit, show, unwritten
from hydra_plugins.medexp_sweeper._values import write
from medexp.config.door import user_errors
from medexp.config.instantiate import instantiate
from medexp.errors import ConfigError, TrainingError
from medexp.redact import redact
from medexp.sweep.driver import drive
from medexp.sweep.identity import operational
from medexp.sweep.jobs import Jobs
from medexp.sweep.nursery import Nursery
from medexp.sweep.outcome import Limits, Outcome
from medexp.sweep.parent import Parent, open_parent, refresh
from medexp.sweep.plan import STORAGE_VARIABLE, Plan
from medexp.sweep.processes import LocalProcesses
from medexp.sweep.pruners import pruner
from medexp.sweep.records import Order, Record
from medexp.sweep.refit import SEED, refit_plan
from medexp.sweep.samplers import sampler
from medexp.sweep.space import Space
from medexp.sweep.study import SharedStudy
from medexp.sweep.study_progress import StudyProgress
from medexp.sweep.summary import summarised
from medexp.tracking.base import Tracker

logger = logging.getLogger(__name__)
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def sweep(arguments: list[str], context: HydraContext, task: TaskFunction, master: DictConfig) -> None:
    """Go on with the study that the command means until it has all its trials; show them, best first.

    Raises:
        SystemExit: something is wrong with the command (then nothing was started), trials failed, or it was stopped.
    """
    with user_errors(), ExitStack() as stack:
        wanted = asked(arguments, context.config_loader, master)
        plan = study_of_command(wanted)
        # forks: before anything here has threads, files or stores
        places = context, task, _with_folder(master, plan.folder)
        jobs_in = _launcher_jobs(wanted, plan, *places) or _own_jobs(wanted, plan, *places, stack)
        tracker: Tracker = instantiate("logger", wanted.config.logger)
        study = _opened(plan, wanted.space, allow_changed=wanted.search.allow_changed)
        parent = stack.enter_context(_parent(wanted, study, tracker, arguments, master))
        if wanted.search.fresh:  # which makes another one each time
            logger.info("%s goes on with this study", same_command(plan, fresh=True))
        with summarised(parent, study) as kept:
            outcome = _drive(study, jobs_in(plan.folder), wanted, parent, export=wanted.search.export)
        records = study.records()
        show(kept[0] if kept else unwritten(parent, records), parent, outcome, wanted)
        if outcome.stopped == "interrupted":
            raise KeyboardInterrupt
        if outcome.stopped == "done":
            pool_folds(parent, records, wanted)
            best = parent.table(records).best
            if wanted.search.refit and best is not None:
                _refit(best, records, wanted, parent, jobs_in)
        _raise_failures(records, outcome)


def _own_jobs(
    wanted: Asked, plan: Plan, context: HydraContext, task: TaskFunction, config: DictConfig, stack: ExitStack
) -> Callable[[Path], Jobs]:
    """Return what runs jobs as processes of this machine, with their logs in a folder."""
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    nursery = Nursery(TrialJob(launcher), warm=Frameworks(wanted.config.runtime.backend))
    jobs: list[LocalProcesses] = []
    stack.callback(lambda: jobs[-1].close() if jobs else nursery.close())

    def jobs_in(folder: Path) -> Jobs:
        logs, secret = folder / "trials", _secret(plan)
        jobs.append(LocalProcesses(nursery, slots=wanted.search.n_jobs, logs=logs, environment=secret))
        return jobs[-1]

    return jobs_in


def _launcher_jobs(
    wanted: Asked, plan: Plan, context: HydraContext, task: TaskFunction, config: DictConfig
) -> Callable[[Path], Jobs] | None:
    """Return what runs jobs by the launcher of Hydra's that the command names; None where it names none."""
    if config.hydra.launcher._target_ == BASIC:
        return None
    os.environ.update(_secret(plan))
    return lambda folder: LauncherJobs(
        context=context, task=task, config=config, folder=folder, slots=wanted.search.n_jobs
    )


def _secret(plan: Plan) -> dict[str, str]:
    return {STORAGE_VARIABLE: plan.storage} if redact(plan.storage) != plan.storage else {}


def _with_folder(master: DictConfig, folder: Path) -> DictConfig:
    config = OmegaConf.create(master)
    OmegaConf.set_readonly(config, False)
    OmegaConf.update(config, "hydra.sweep.dir", str(folder), force_add=True)
    return config


def _opened(plan: Plan, space: Space, *, allow_changed: bool = False) -> SharedStudy:
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        outputs = plan.folder.parent.parent
        raise ConfigError(f"paths.outputs: cannot be written ({error.strerror}). Received: {outputs}.") from error
    make = partial(sampler, plan.sampler, plan.sampler_options, seed=plan.seed, space=space)
    return SharedStudy.open(
        plan,
        make_sampler=lambda index: make(index=index),
        make_pruner=lambda: pruner(plan.pruner, plan.pruner_options),
        allow_changed=allow_changed,
    )


def _parent(
    wanted: Asked, study: SharedStudy, tracker: Tracker, arguments: Sequence[str], master: DictConfig
) -> AbstractContextManager[Parent]:
    (study.plan.folder / "multirun.yaml").write_text(redact(OmegaConf.to_yaml(master)))
    search = wanted.search.model_dump(mode="json", exclude={"space"})
    return open_parent(
        tracker,
        study,
        study.plan,
        name=f"sweep {' '.join(arguments)}".strip(),
        below=wanted.config.paths.outputs / "sweeps",
        fixed=wanted.fixed,
        params={
            **{f"search.{key}": value for key, value in search.items() if not operational(f"search.{key}")},
            **{f"space.{key}": text for key, text in wanted.space.describe().items()},
            **{
                key: value
                for key, _, value in (item.partition("=") for item in wanted.fixed)
                if value and not operational(key) and not key.startswith("search")
            },
        },
        tags={"medexp.overrides": " ".join(arguments), "mlflow.source.name": "scripts/train.py"},
        console_level=wanted.config.runtime.console_level,
    )


def _drive(
    study: SharedStudy,
    jobs: Jobs,
    wanted: Asked,
    parent: Parent,
    *,
    chosen: Sequence[str] = (),
    export: bool,
    folds: bool | None = None,
) -> Outcome:
    """Run the trials of a study; `chosen` is what all of them have beside the fixed overrides."""
    plan, search = study.plan, wanted.search
    folds = search.folds if folds is None else folds
    storage = [] if _secret(plan) else [f"sweep.storage={write(plan.storage)}"]

    def command(order: Order) -> Sequence[str]:
        known = {item.partition("=")[0].lstrip("+") for item in order.overrides}
        kept = [item for item in (*wanted.fixed, *chosen) if item.partition("=")[0].lstrip("+") not in known]
        job = (f"sweep.parent={parent.id}", f"sweep.study={write(plan.name)}", f"sweep.trial={order.number}", *storage)
        return [*kept, *order.overrides, *job, f"sweep.folds={folds}".lower(), f"sweep.export={export}".lower()]

    return drive(
        study,
        jobs,
        arguments=command,
        limits=Limits(search.timeout, search.max_failure_rate, search.min_failures),
        progress=_Progress(
            plan.objectives,
            n_trials=plan.n_trials,
            slots=jobs.slots,
            log=jobs.log,
            also=partial(refresh, parent) if plan is parent.plan else None,
        ),
    )


class _Progress(StudyProgress):
    """Keeps the parent run up to date, too."""

    def __init__(self, *args: Any, also: Callable[[Sequence[Record]], None] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._also = also

    def update(self, records: Sequence[Record]) -> None:
        super().update(records)
        if self._also is not None:
            self._also(records)


def _refit(
    best: Record, records: Sequence[Record], wanted: Asked, parent: Parent, jobs_in: Callable[[Path], Jobs]
) -> None:
    """Train the best trial again with seeds that no trial had, as a study of its own below the same parent."""
    others = [int(text) for record in records if (text := str(record.params.get(SEED, ""))).isdecimal()]
    plan, space = refit_plan(parent.plan, best, seed=wanted.config.seed, others=others, count=wanted.search.refit)
    logger.info("trial %d is trained %d times more, with new seeds", best.index, plan.n_trials)
    study = _opened(plan, space)
    outcome = _drive(study, jobs_in(plan.folder), wanted, parent, chosen=best.overrides, export=True, folds=False)
    say_refit(parent, best, study.records())
    if outcome.stopped == "interrupted":
        raise KeyboardInterrupt
    _raise_failures(study.records(), outcome)


def _raise_failures(records: Sequence[Record], outcome: Outcome) -> None:
    failed = [record for record in records if record.state == "failed"]
    if outcome.stopped == "failures":
        raise TrainingError(outcome.reason)
    if failed:
        first = failed[0]
        chosen = shlex.join(first.overrides) or "as configured"
        raise TrainingError(f"{len(failed)} of {len(records)} trials failed; the first was {chosen}: {first.error}")
