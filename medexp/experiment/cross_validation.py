"""Train every fold of `data.split.folds` as one trial: a run whose children are the folds, its value their mean."""

from __future__ import annotations

import csv
import json
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from medexp.config.instantiate import instantiate
from medexp.config.schema import SweepConfig, TrainConfig
from medexp.errors import ConfigError, TrackingError
from medexp.experiment.attempt import attempted, watch
from medexp.experiment.record import record
from medexp.experiment.recorded import Execution
from medexp.experiment.result_file import read_result, write_result
from medexp.experiment.resumed import record_resume
from medexp.experiment.train import run_tags, say_result, train
from medexp.sweep.trial import NullTrial, Trial
from medexp.tracking.base import Run, Tracker
from medexp.tracking.journal import last_status
from medexp.training.whole_file import write_whole
from medexp.types import DataSpec, Objective, RunResult, digest_of

logger = logging.getLogger(__name__)
FOLDS, TABLE = "folds.json", "folds.csv"
DEVIATION = "_std"
_NO_MEAN = ("threshold", "learning_rate")


def cross_validate(
    config: TrainConfig,
    *,
    resume: Path | None = None,
    tags: Mapping[str, str] | None = None,
    then: Callable[[RunResult, Run], None] | None = None,
    trial: Trial | None = None,
) -> RunResult:
    """Train every fold, one after the other, each as a run of its own below this one.

    The result's metrics are means over the folds; `<metric>_std` is their standard deviation (n - 1), which says how
    much the folds differ, not how sure the mean is. Which runs the folds are stands in `folds.json` of the run's
    folder from their beginning on: where it goes on after a kill, finished folds are not trained again, and the
    unfinished one goes on from its checkpoint.

    The arguments are those of `train`; the trial hears the best value of each fold, and may end between two.

    Raises:
        ConfigError: the configuration names one fold, or has a split of its own.
        Pruned: see `train`.
        MedexpError: what a fold raises; those before it are kept.
    """
    _check(config)
    tracker: Tracker = instantiate("logger", config.logger)
    trial = trial or NullTrial()
    all_tags = {**run_tags(config), "medexp.kind": "cross-validation", **(tags or {})}
    with attempted(config, tracker, trial=trial, tags=all_tags, resume=resume) as execution:
        result = _run(config, execution, trial, resume=resume is not None)
        if then is not None:
            then(result, execution.run)
    say_result(
        result, tracker, execution, aim=config.evaluation.operating_point, sweeping=config.sweep.parent is not None
    )
    return result


def _check(config: TrainConfig) -> None:
    if config.data.fold is not None:
        raise ConfigError(
            f"Every fold is trained, one cannot be chosen. Received: data.fold={config.data.fold}. Override: "
            "data.fold=null, or sweep over it without search.folds=true"
        )
    if config.data.split_file is not None:
        raise ConfigError(
            "data.split_file says who is in which split, so that there are no folds. Received: "
            f"data.split_file={config.data.split_file}. Override: data.split_file=null"
        )


def _run(config: TrainConfig, execution: Execution, trial: Trial, *, resume: bool) -> RunResult:
    run, folder = execution.run, execution.folder
    if resume and (done := read_result(folder)) is not None:
        logger.info("all of this run was done but its end: closing it")
        return done
    if resume:
        record_resume(config, run, folder)
    else:
        record(config, run, folder)
    objective = Objective(config.objective.metric, config.objective.mode)
    folds = _Folds(folder)
    results: list[RunResult] = []
    for fold in range(config.data.split.folds):
        result = folds.train(config, fold, run.id, trial)
        results.append(result)
        numbers = {name: value for name, value in result.metrics.items() if name.startswith(("val_", objective.metric))}
        run.log_metrics({f"fold_{name}": value for name, value in numbers.items()}, step=fold)
        watch(trial, result.score, step=fold, epochs=sum(each.epochs for each in results))
    metrics = averaged([each.metrics for each in results])
    logger.info(
        "%d folds: %s %.4f, deviation %.4f",
        len(results), objective.metric, metrics[objective.metric], metrics[objective.metric + DEVIATION],
    )  # fmt: skip
    run.log_metrics({**metrics, f"best_{objective.metric}": metrics[objective.metric]}, step=0)
    run.log_data(data := _data([each.data for each in results]))
    run.log_files(_table(results, folder))
    summary = RunResult(
        run_id=run.id,
        run_dir=folder,
        objective=objective,
        best_epoch=None,
        epochs=sum(each.epochs for each in results),
        metrics=metrics,
        data=data,
        bundle=None,
        model_uri=None,
        seconds=sum(each.seconds for each in results),
        test_images=results[0].test_images,
        folds=tuple(each.run_id for each in results),
    )
    run.log_files(write_result(summary))
    return summary


def averaged(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over folds of each metric that all have, and its standard deviation as `<metric>_std`.

    `seconds` is the sum, which is what all of it costs; `parameters` has no deviation. Thresholds and learning rates
    of different networks have no mean.
    """
    common = [name for name in metrics[0] if all(name in each for each in metrics)]
    found: dict[str, float] = {}
    for name in common:
        values = [each[name] for each in metrics]
        if name == "seconds":
            found[name] = sum(values)
        elif name == "parameters":
            found[name] = values[0]
        elif not name.startswith(_NO_MEAN):
            found[name] = statistics.fmean(values)
            found[name + DEVIATION] = statistics.stdev(values)
    return found


class _Folds:
    """Which runs the folds of a trial are, kept in the folder of the trial's run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FOLDS
        try:
            self._known: dict[str, str] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._known = {}

    def train(self, config: TrainConfig, fold: int, parent: str, trial: Trial) -> RunResult:
        """Return the result of a fold: the one that it has, or that of its training."""
        own = _fold_config(config, fold, parent)
        begin = partial(train, own, tags={"medexp.fold": str(fold)}, trial=_FoldTrial(self, fold, trial))
        before = self._folder(fold)
        if before is None:
            return begin()
        if last_status(before) == "FINISHED" and (done := read_result(before)) is not None:
            logger.info("fold %d is done: run %s", fold, done.run_id)
            return done
        try:
            return begin(resume=before)
        except TrackingError as error:
            logger.warning("fold %d cannot go on, and begins anew: %s", fold, error)
            return begin()

    def note(self, fold: int, run_dir: Path) -> None:
        """Remember the run of a fold."""
        self._known[str(fold)] = run_dir.name
        text = json.dumps(self._known, indent=2) + "\n"
        write_whole(self._path, lambda file: file.write(text.encode()))

    def _folder(self, fold: int) -> Path | None:
        name = self._known.get(str(fold))
        folder = None if name is None else self._path.parent.parent / name  # beside it, wherever all were moved to
        return folder if folder is not None and folder.is_dir() else None


class _FoldTrial(NullTrial):
    """A fold: its epochs are no steps of the trial, whose steps are folds; its run is remembered."""

    def __init__(self, folds: _Folds, fold: int, trial: Trial) -> None:
        self._folds, self._fold, self._trial = folds, fold, trial

    def report(self, value: float, *, step: int) -> None:
        """Store nothing, but see whether the trial is over."""
        self.over = self._trial.over

    def began(self, run_id: str, run_dir: Path) -> None:
        """Remember it."""
        self._folds.note(self._fold, run_dir)


def _fold_config(config: TrainConfig, fold: int, parent: str) -> TrainConfig:
    return config.model_copy(
        update={
            "name": f"{config.name} fold {fold}",
            "data": config.data.model_copy(update={"fold": fold}),
            "sweep": SweepConfig(parent=parent, export=config.sweep.export),
        }
    )


def _data(specs: Sequence[DataSpec]) -> DataSpec:
    """The data of all folds: its digest stands for theirs; no count is that of every fold."""
    return replace(
        specs[0],
        digest=digest_of([spec.digest for spec in specs]),
        split=digest_of([spec.split for spec in specs]),
        counts={},
        images={},
    )


def _table(results: Sequence[RunResult], folder: Path) -> Path:
    path = folder / TABLE
    names = list(results[0].metrics)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["fold", "run_id", "best_epoch", *names])
        for fold, result in enumerate(results):
            table.writerow([fold, result.run_id, result.best_epoch, *(result.metrics.get(name, "") for name in names)])
    return path
