"""A run as an attempt at a trial of a study: its tags say how it ended, and to be stopped early is a good end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, TrainingError, unknown
from medexp.experiment.recorded import Execution, recorded
from medexp.sweep.trial import Trial
from medexp.tracking.base import Tracker
from medexp.tracking.journal import last_status, last_tag

logger = logging.getLogger(__name__)
STATE = "medexp.trial.state"


class Pruned(Exception):  # noqa: N818  no error
    """The trial is hopeless: its training ends here, without a result. Nobody has to mend anything.

    Args:
        value: the objective that was reported last.
        epochs: that were trained.
    """

    def __init__(self, value: float, *, epochs: int) -> None:
        super().__init__(f"pruned after {epochs} epochs, at {value:.4f}: other trials were better by then")
        self.value, self.epochs = value, epochs


def was_pruned(folder: Path) -> bool:
    """Whether the run in `folder` is the finished one of a trial that was pruned."""
    return last_status(folder) == "FINISHED" and last_tag(folder, STATE) == "PRUNED"


def watch(trial: Trial, value: float, *, step: int, epochs: int) -> None:
    """Report the objective, and stop what need not go on.

    Args:
        trial: that it is of.
        value: of the objective.
        step: the epoch, or the fold, from 0.
        epochs: trained so far.

    Raises:
        Pruned: the trial is hopeless.
        TrainingError: somebody else ended the trial.
    """
    trial.report(value, step=step)
    if trial.over:
        raise TrainingError(
            "Another process has ended this trial and goes on with it: this one was thought dead, because it did not "
            f"write to the study for too long. Received: trial {trial.number}. Nothing has to be done"
        )
    if trial.should_prune():
        raise Pruned(value, epochs=epochs)


def check_objectives(config: TrainConfig, metrics: Mapping[str, float]) -> None:
    """See after an epoch that what a light trial is to be compared by will be there, rather than after the last one.

    Raises:
        ConfigError: it will not; lists what there is.
    """
    if config.sweep.export or config.search is None:  # the test of the network may have more
        return
    there = {*metrics, "seconds", "parameters"}
    for objective in config.search.objectives:
        if objective.metric.removesuffix("_std") not in there:  # folds have a deviation
            raise ConfigError(f"search.objectives: {unknown('metric', objective.metric, there)}")


@contextmanager
def attempted(
    config: TrainConfig, tracker: Tracker, *, trial: Trial, tags: Mapping[str, str], resume: Path | None
) -> Iterator[Execution]:
    """Open a run below `outputs/runs`, as `recorded` does, and tell the trial of it.

    A run whose trial is pruned is finished, without what only a resumption would need. Tags name study, trial and
    how it ended (COMPLETE, PRUNED, FAIL); one that was interrupted has no end.

    Raises:
        Pruned: after the run was closed.
        MedexpError: see `recorded`.
    """
    pruned: Pruned | None = None
    own = _tags(config, trial)
    with recorded(
        config, tracker, below="runs", tags={**tags, **own}, parent=config.sweep.parent, resume=resume
    ) as execution:
        run = execution.run
        trial.began(run.id, execution.folder)
        if resume is not None:
            run.log_tags(own)  # another attempt at the trial has another number
        try:
            yield execution
        except Pruned as stop:
            from medexp.training.trainer import clean

            logger.info("%s", stop)
            clean(execution.folder)
            run.log_tags(_tags(config, trial, state="PRUNED"))
            pruned = stop
        except Exception:
            run.log_tags(_tags(config, trial, state="FAIL"))
            raise
        else:
            run.log_tags(_tags(config, trial, state="COMPLETE"))
    if pruned is not None:
        raise pruned


def _tags(config: TrainConfig, trial: Trial, *, state: str | None = None) -> dict[str, str]:
    """None for a run that is no trial."""
    if trial.number is None:
        return {}
    if state is not None:
        return {STATE: state}
    return {"medexp.study": str(config.sweep.study), "medexp.trial.number": str(trial.number)}
