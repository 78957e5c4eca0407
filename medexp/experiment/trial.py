"""The job of a sweep: one trial of a study, trained, and told to the study by the job itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, MedexpError, TrackingError, unknown
from medexp.experiment.attempt import Pruned, was_pruned
from medexp.experiment.cross_validation import cross_validate
from medexp.experiment.result_file import read_result
from medexp.experiment.train import train
from medexp.sweep.plan import STORAGE_VARIABLE
from medexp.sweep.trial import Trial, attach
from medexp.tracking.journal import last_status
from medexp.tracking.killable import killable
from medexp.types import RunResult

if TYPE_CHECKING:
    from medexp.tracking.base import Run

logger = logging.getLogger(__name__)


def run_trial(config: TrainConfig) -> float:
    """Train the trial that `config.sweep` names, or go on with its training, and tell the study how it ended.

    It is told once, whatever happens: its values; pruned; failed, and why; released where a signal stopped it, so that
    it is begun again. What kills the process leaves it to those who see that its lease has run out.

    Returns:
        The objective at the best epoch, or what was reported last where the trial was pruned.

    Raises:
        MedexpError: what the training raises, after it was told; or the study cannot be reached.
        SystemExit: SIGTERM or SIGHUP.
        KeyboardInterrupt: Ctrl-C.
    """
    sweep = config.sweep
    storage = sweep.storage or os.environ.get(STORAGE_VARIABLE)
    if storage is None or sweep.study is None or sweep.trial is None:
        raise ConfigError(
            "A trial needs its study. Received: sweep.trial without sweep.study or sweep.storage. These are set by the "
            "sweeper: start it with python scripts/train.py -m ..."
        )
    with attach(storage, sweep.study, sweep.trial) as trial, killable() as ending:  # tells of an error, or a signal
        ending.abandon = trial.release
        try:
            result = execute(config, trial=trial)
            trial.trained(result.epochs)
            trial.complete(objective_values(config, result))
        except Pruned as stop:
            trial.trained(stop.epochs)
            trial.prune()
            return stop.value
        return result.score


def execute(config: TrainConfig, *, resume: Path | None = None, trial: Trial | None = None) -> RunResult:
    """Train as `config` says, all folds or one split; where the trial was begun before, go on from there.

    Args:
        config: of the run.
        resume: the folder of a run to go on with; `config` is its own.
        trial: that it is; None outside studies.
    """
    if resume is None and trial is not None and trial.resume_from is not None:
        return _again(config, trial.resume_from, trial)
    return _runner(config)(config, resume=resume, trial=trial, then=_values_exist(config))


def objective_values(config: TrainConfig, result: RunResult) -> list[float]:
    """Return what the study compares: a number for each of `search.objectives`, or the objective alone.

    Beside metrics of validation there are `parameters` (of the network), `seconds` (of the training) and
    `epoch_seconds` (the median).

    Raises:
        ConfigError: there is no such metric; lists those that there are.
    """
    names = _objectives(config)
    for name in names:
        if name not in result.metrics:
            raise ConfigError(f"search.objectives: {unknown('metric', name, result.metrics)}")
    return [float(result.metrics[name]) for name in names]


def _objectives(config: TrainConfig) -> Sequence[str]:
    several = config.search.objectives if config.search is not None else []
    return [objective.metric for objective in several] or [config.objective.metric]


def _values_exist(config: TrainConfig) -> Callable[[RunResult, Run], None]:
    """Look for the objectives while the run is open: one without them has failed."""

    def look(result: RunResult, run: Run) -> None:
        objective_values(config, result)

    return look


def _runner(config: TrainConfig) -> Callable[..., RunResult]:
    return cross_validate if config.sweep.folds else train


def _again(config: TrainConfig, folder: Path, trial: Trial) -> RunResult:
    """Go on with an earlier attempt, which was killed: in its run, from its checkpoint; begin anew where that fails.

    One that was killed after its end, before it could tell, has nothing left to be trained.
    """
    if was_pruned(folder):
        raise Pruned(float("nan"), epochs=0)
    if last_status(folder) == "FINISHED" and (done := read_result(folder)) is not None:
        logger.info("run %s was finished already", done.run_id)
        trial.began(done.run_id, folder)
        return done
    if (own := _own_config(config, folder)) is not None:
        try:
            return _runner(own)(own, resume=folder, trial=trial, then=_values_exist(config))
        except TrackingError as error:  # the run cannot be opened: what happens later is none
            _say_anew(error)
    return _runner(config)(config, trial=trial, then=_values_exist(config))


def _own_config(config: TrainConfig, folder: Path) -> TrainConfig | None:
    """The configuration that the earlier attempt began with, as this attempt at the trial; None where it is damaged."""
    from omegaconf import OmegaConf

    from medexp.config.find_run import SAVED
    from medexp.config.flatten import as_composed
    from medexp.config.saved import load_saved

    if not (folder / SAVED).is_file():
        return config  # it was killed before it had trained anything
    try:
        saved = load_saved(folder, OmegaConf.create(as_composed(config)), overrides=())
    except ConfigError as error:
        _say_anew(error)
        return None
    return saved.model_copy(update={"sweep": config.sweep})


def _say_anew(error: MedexpError) -> None:
    logger.warning("the earlier attempt cannot go on, and the trial begins anew: %s", error)
