"""Train, test, record and export one variant. Read `_run` from top to bottom."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.flatten import task_overrides
from medexp.config.instantiate import instantiate
from medexp.config.saved import RESULT
from medexp.config.schema import TrainConfig
from medexp.experiment import results
from medexp.experiment.asked import check_asked
from medexp.experiment.attempt import attempted, check_objectives, watch
from medexp.experiment.data import AUDIT, audit_data, data_module, say_data
from medexp.experiment.phases import phases
from medexp.experiment.record import record, source_tags
from medexp.experiment.recorded import Execution
from medexp.experiment.result_file import read_result, write_result
from medexp.experiment.resumed import record_resume, refuse_other_data
from medexp.sweep.trial import NullTrial, Trial
from medexp.tracking.base import Run, Tracker
from medexp.types import Invariances, Objective, RunResult

if TYPE_CHECKING:
    from medexp.models.module import ClassifierModule

logger = logging.getLogger(__name__)
SPLIT = "split.csv"


def train(
    config: TrainConfig,
    *,
    resume: Path | None = None,
    tags: Mapping[str, str] | None = None,
    then: Callable[[RunResult, Run], None] | None = None,
    trial: Trial | None = None,
) -> RunResult:
    """Train, test, record and export one variant, as `config` says.

    Everything is named by one run id: the folder `outputs/runs/<run id>` with its log and `result.json`, and
    the run in the tracking store, which is closed as finished, failed or killed whatever happens. With
    `sweep.export=false` it is trained and validated only: the test set is not for searching.

    Args:
        config: what `scripts/train.py` composed, or the run's own, read back.
        resume: the folder of an interrupted run, to go on with it from its last checkpoint; one that has its result
            is closed.
        tags: of the run, beside its own.
        then: called with the result and the run while that is open: what it logs belongs to the run.
        trial: hears the objective after each epoch, and may stop the training; None outside studies.

    Raises:
        Pruned: the trial was stopped because it is hopeless; its run is finished, and has no result.
        MedexpError: what a user can mend. Anything unexpected becomes a TrainingError that names the log,
            where the traceback is.
    """
    tracker: Tracker = instantiate("logger", config.logger)
    trial = trial or NullTrial()
    all_tags = {**run_tags(config), **(tags or {})}
    with attempted(config, tracker, trial=trial, tags=all_tags, resume=resume) as execution:
        result = _run(config, execution, trial, resume=resume is not None)
        if then is not None:
            then(result, execution.run)
    say_result(
        result, tracker, execution, aim=config.evaluation.operating_point, sweeping=config.sweep.parent is not None
    )
    return result


def run_tags(config: TrainConfig) -> dict[str, str]:
    """Return the tags of a training, or of one of every fold."""
    return {
        **source_tags("scripts/train.py"),
        "medexp.objective": config.objective.metric,
        "medexp.objective_mode": config.objective.mode,
    }


def _run(config: TrainConfig, execution: Execution, trial: Trial, *, resume: bool) -> RunResult:
    run, folder = execution.run, execution.folder

    # ---- the process: backend, precision, seeds
    from medexp.training import session
    from medexp.training.devices import virtual_cpus

    logger.info("run %s: %s", run.id, config.name)
    cpus = virtual_cpus(config.trainer.get("devices"))
    session.load_backend(config.runtime.backend, native_log=execution.log, cpus=cpus)
    from medexp.data.audit.enforce import enforce
    from medexp.data.policy import allowed
    from medexp.evaluation.plots import draw_curves
    from medexp.experiment.tested import Origin, Tested, test_and_export
    from medexp.training.trainer import Trainer, clean

    if resume and (done := read_result(folder)) is not None:
        logger.info("all of this run was done but its end: closing it")
        run.log_files(folder / RESULT)
        clean(folder)
        return done
    trainer: Trainer = instantiate("trainer", config.trainer)
    session.reset(seed=config.seed, precision=trainer.precision, deterministic=config.runtime.deterministic)
    objective = Objective(config.objective.metric, config.objective.mode)
    module = classifier_module(config)
    planned = phases(config)
    augmentation = allowed(
        instantiate("augmentation", config.augmentation), Invariances(**config.data.invariances.model_dump())
    )

    # ---- record what was asked for, before anything can go wrong
    if resume:
        record_resume(config, run, folder)
    else:
        record(config, run, folder)

    # ---- data
    data = data_module(config.data, seed=config.seed)
    data.prepare()
    if config.data.audit != "off":
        seed = config.data.split.seed  # the data's, not the run's: seeds share a split, and what is found in it
        report = audit_data(config.data, config.audit, data, run, folder, seed=seed, page=config.sweep.export)
        enforce(report, mode=config.data.audit, where=str(folder / AUDIT / "audit.html"))
    spec = data.setup()
    run.log_data(spec)
    run.log_tags({"medexp.split": spec.split, "medexp.data_digest": spec.digest})
    say_data(spec, config.data)
    check_asked(config.evaluation, spec, columns=data.examples("test").metadata)
    if resume:
        refuse_other_data(data, folder / SPLIT)
    data.write_split(folder / SPLIT)
    run.log_files(folder / SPLIT)

    # ---- fit
    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
        run.log_metrics(metrics, step=epoch)
        check_objectives(config, metrics)
        if math.isfinite(metrics["loss"]):  # else it has failed, which is not the same as being worse than others
            watch(trial, metrics[objective.metric], step=epoch - 1, epochs=epoch)

    if config.sweep.export:
        results.draw_augmentation(
            config.data.aug, augmentation, data, folder / "plots" / "augmentation.png", seed=config.seed
        )
    fit = trainer.fit(
        module,
        data,
        phases=planned,
        objective=objective,
        augmentation=augmentation,
        folder=folder,
        on_epoch=on_epoch,
        seed=config.seed,
        resume=resume,
    )

    metrics = results.fit_metrics(fit)
    best = {f"best_{name}": value for name, value in fit.best.items() if name in _selecting(fit.best, objective)}
    costs = {name: metrics[name] for name in ("parameters", "seconds")}
    run.log_metrics({**best, **costs, "best_epoch": fit.best_epoch}, step=0)  # of the whole run
    run.log_files(results.write_history(fit, folder))

    # ---- test and export, but for a trial that is only to be compared with others
    tested = Tested()
    if config.sweep.export:
        draw_curves(fit.history, fit.best_epoch, folder / "plots" / "curves.png")
        network = results.best_network(module, spec, fit.best_weights)
        origin = Origin(run.id, spec.digest, folder, metrics)
        tested = test_and_export(config, network, data, execution, origin=origin)

    # ---- result
    result = RunResult(
        run_id=run.id,
        run_dir=folder,
        objective=objective,
        best_epoch=fit.best_epoch,
        epochs=len(fit.history),
        metrics={**metrics, **tested.metrics},
        data=spec,
        bundle=tested.bundle,
        model_uri=tested.model_uri,
        seconds=fit.seconds,
        test_images=tested.images,
    )
    run.log_files(write_result(result))
    clean(folder)  # not before the result is on the disk: it says that nothing has to be trained again
    return result


def classifier_module(config: TrainConfig) -> ClassifierModule:
    """Return the recipe that `config` describes."""
    from medexp.models.module import ClassifierModule

    return ClassifierModule(
        network=instantiate("model", config.model),
        loss=instantiate("loss", config.loss),
        optimizer=instantiate("optimizer", config.optimizer),
        schedule=instantiate("schedule", config.schedule),
        layer_decay=config.finetuning.layer_decay,
    )


def _selecting(metrics: Mapping[str, float], objective: Objective) -> set[str]:
    """The metrics that a promotion may compare: those of validation, and the objective."""
    return {name for name in metrics if name.startswith("val_")} | {objective.metric}


def say_result(result: RunResult, tracker: Tracker, execution: Execution, *, aim: str, sweeping: bool = False) -> None:
    """Print the result; one line of it where the sweep's own table follows."""
    if sweeping:
        tested = f", test_auc {result.metrics['test_auc']:.4f}" if "test_auc" in result.metrics else ""
        logger.info("finished %s: %s %.4f%s", result.run_id, result.objective.metric, result.score, tested)
        return
    from medexp.evaluation.summary import print_summary

    said = (item.lstrip("+") for item in task_overrides())
    elsewhere = shlex.join(item for item in said if item.startswith(("paths.", "tracking.")))
    print_summary(
        result,
        where=tracker.where(result.run_id),
        log=execution.log,
        images=result.test_images,
        elsewhere=elsewhere,
        aim=aim,
    )
