"""The composition root: the one module that knows all rooms. Read `_run` from top to bottom."""

from __future__ import annotations

import csv
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.config.flatten import as_composed, flatten, task_overrides
from medexp.config.instantiate import instantiate
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, MedexpError, TrainingError
from medexp.logs import FILE_ONLY, run_log
from medexp.tracking.base import Run, Tracker
from medexp.tracking.environment import environment
from medexp.tracking.killable import killable
from medexp.tracking.store import redacted
from medexp.types import DataSpec, FitResult, InputSpec, Objective, RunResult

if TYPE_CHECKING:
    import keras

    from medexp.data.module import DataModule
    from medexp.evaluation.predictions import Predictions
    from medexp.models.module import ClassifierModule
    from medexp.registry.bundle import Bundle

logger = logging.getLogger(__name__)
LOG, RESULT = "run.log", "result.json"
CHECKED_IMAGES = 16  # that the exported graph and Keras must agree on


def train(config: TrainConfig) -> RunResult:
    """Train, test, record and export one variant, as `config` says.

    Everything is named by one run id: the folder `outputs/runs/<run id>` with its log and `result.json`, and
    the run in the tracking store, which is closed as finished, failed or killed whatever happens.

    Raises:
        MedexpError: what a user can mend. Anything unexpected becomes a TrainingError that names the log,
            where the traceback is.
    """
    _make(config.paths.outputs)
    tracker: Tracker = instantiate("logger", config.logger)
    with killable(), tracker.start(config.name, parent=config.sweep.parent, tags=_tags(config)) as run:
        folder = config.paths.outputs / "runs" / run.id
        folder.mkdir(parents=True)
        with run_log(folder / LOG, run_id=run.id, console_level=config.runtime.console_level):
            try:
                result = _run(config, run, folder)
            except MedexpError as error:
                logger.error("%s: %s", type(error).__name__, error, extra=FILE_ONLY)
                raise
            except Exception as error:
                logger.exception("unexpected", extra=FILE_ONLY)
                raise TrainingError(
                    f"The run stopped unexpectedly. Received: {type(error).__name__}: "
                    f"{str(error).strip().partition(chr(10))[0][:300]}. The traceback is in {folder / LOG}"
                ) from error
            except BaseException as signal:
                logger.error("stopped by %s", type(signal).__name__, extra=FILE_ONLY)
                logger.error("run %s was stopped; its log: %s", run.id, folder / LOG)
                raise
            finally:
                _keep(run, folder / LOG)
    _say(result, tracker, folder, sweeping=config.sweep.parent is not None)
    return result


def _make(outputs: Path) -> None:
    try:
        outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"paths.outputs: cannot be written ({error.strerror}). Received: {outputs}.") from error


@dataclass(frozen=True)
class _Evaluation:
    """What the best weights are worth: the predictions of both held-out splits, and numbers from them."""

    val: Predictions
    test: Predictions
    threshold: float | None
    metrics: Mapping[str, float]


def _run(config: TrainConfig, run: Run, folder: Path) -> RunResult:
    # ---- the process: backend, precision, seeds
    from medexp.training import session

    logger.info("run %s: %s", run.id, config.name)
    session.load_backend(config.runtime.backend, native_log=folder / LOG)
    from medexp.training.trainer import Trainer

    trainer: Trainer = instantiate("trainer", config.trainer)
    session.reset(seed=config.seed, precision=trainer.precision)
    objective = Objective(config.objective.metric, config.objective.mode)
    module = _module(config)

    # ---- record what was asked for, before anything can go wrong
    _record(config, run, folder)

    # ---- data
    data = _data(config)
    data.prepare()
    spec = data.setup()
    run.log_data(spec)
    _say_data(spec)

    # ---- fit
    fit = trainer.fit(
        module,
        data,
        objective=objective,
        augmentation=instantiate("augmentation", config.augmentation),
        callbacks=[instantiate(f"callbacks.{key}", node) for key, node in config.callbacks.items() if node],
        folder=folder,
        on_epoch=lambda epoch, metrics: run.log_metrics(metrics, step=epoch),
    )
    _write_history(fit, folder / "history.csv")

    # ---- evaluate what will be served: the best weights, in float32, one probability per class
    model = _best_model(module, spec, fit)
    evaluation = _evaluate(model, data, spec)
    metrics = {**fit.best, **evaluation.metrics}
    _draw(fit, evaluation, folder)
    best = {f"best_{name}": value for name, value in fit.best.items() if name in _selecting(fit.best, objective)}
    run.log_metrics(
        {**best, "best_epoch": fit.best_epoch, **evaluation.metrics},
        step=0,  # of the whole run: MLflow draws bars, not a point on a curve
    )
    for name in ("history.csv", "predictions", "plots"):
        run.log_files(folder / name, name if (folder / name).is_dir() else "")

    # ---- export
    bundle = _export(config, model, data, evaluation, run, folder)
    uri = _log_model(config, model, bundle, evaluation, objective, metrics, run)

    # ---- result
    result = RunResult(
        run_id=run.id,
        run_dir=folder,
        objective=objective,
        best_epoch=fit.best_epoch,
        epochs=len(fit.history),
        metrics=metrics,
        data=spec,
        bundle=bundle.path,
        model_uri=uri,
        seconds=fit.seconds,
    )
    (folder / RESULT).write_text(json.dumps(asdict(result), indent=2, default=str) + "\n")
    run.log_files(folder / RESULT)
    return result


def _tags(config: TrainConfig) -> dict[str, str]:
    overrides = task_overrides()
    return {
        "medexp.overrides": " ".join(overrides),
        "medexp.objective": config.objective.metric,
        "medexp.objective_mode": config.objective.mode,
        "mlflow.source.name": "scripts/train.py",
        "mlflow.source.type": "LOCAL",
    }


def _record(config: TrainConfig, run: Run, folder: Path) -> None:
    import yaml

    text = yaml.safe_dump(_redacted(as_composed(config)), sort_keys=False)
    (folder / "config.yaml").write_text(text)
    facts = {"run_id": run.id, "seed": config.seed, **environment(config.paths.root)}
    (folder / "environment.json").write_text(json.dumps(_redacted(facts), indent=2) + "\n")
    run.log_params(flatten(config))
    tags = {"medexp.seed": str(config.seed), "medexp.host": facts["host"], "mlflow.user": facts["user"]}
    if facts["git_commit"]:
        tags["mlflow.source.git.commit"] = facts["git_commit"]
        tags["medexp.git_dirty"] = str(facts["git_dirty"]).lower()
    versions = {f"medexp.version.{name}": version for name, version in facts["versions"].items()}
    run.log_tags({**tags, **versions})
    for name in ("config.yaml", "environment.json"):
        run.log_files(folder / name)


def _selecting(metrics: Mapping[str, float], objective: Objective) -> set[str]:
    """The metrics that a promotion may compare: those of validation, and the objective."""
    return {name for name in metrics if name.startswith("val_")} | {objective.metric}


def _data(config: TrainConfig) -> DataModule:
    from medexp.data.module import DataModule

    data = config.data
    return DataModule(
        instantiate("data", data.source),
        name=data.name,
        input=InputSpec(**data.input.model_dump()),
        positive=data.positive,
        batch_size=data.batch_size,
        val=data.split.val,
        test=data.split.test,
        split_seed=data.split.seed,
        seed=config.seed,
    )


def _module(config: TrainConfig) -> ClassifierModule:
    from medexp.models.module import ClassifierModule

    return ClassifierModule(
        network=instantiate("model", config.model),
        optimizer=instantiate("optimizer", config.optimizer),
        schedule=instantiate("schedule", config.schedule),
    )


def _best_model(module: ClassifierModule, spec: DataSpec, fit: FitResult) -> keras.Model:
    """The network with its best weights, built in float32 whatever it was trained in."""
    import keras

    from medexp.models.class_probabilities import class_probabilities

    keras.config.set_dtype_policy("float32")
    network = module.build(spec)
    network.load_weights(fit.best_weights)
    return class_probabilities(network)


def _evaluate(model: keras.Model, data: DataModule, spec: DataSpec) -> _Evaluation:
    from medexp.evaluation.metrics import classification_metrics
    from medexp.evaluation.threshold import youden_threshold

    val, test = (_predict(model, data, spec, split) for split in ("val", "test"))
    metrics: dict[str, float] = {}
    threshold = None
    if val.binary:
        threshold = youden_threshold(val.labels, val.scores)
        achieved = classification_metrics(val, threshold=threshold)
        metrics = {"threshold": threshold, **{k: achieved[k] for k in ("val_sensitivity", "val_specificity")}}
    return _Evaluation(val, test, threshold, metrics | classification_metrics(test, threshold=threshold))


def _predict(model: keras.Model, data: DataModule, spec: DataSpec, split: Any) -> Predictions:
    import numpy as np

    from medexp.evaluation.predictions import Predictions

    part = data.arrays(split)
    probabilities = model.predict(part.images, batch_size=256, verbose=0)
    if not np.isfinite(probabilities).all():
        raise TrainingError(
            f"The training diverged. Received: no numbers as probabilities of {split}, from the best weights there "
            "were. Try a smaller optimizer.learning_rate"
        )
    return Predictions(split, part.keys, part.labels, probabilities, spec.class_names)


def _draw(fit: FitResult, evaluation: _Evaluation, folder: Path) -> None:
    from medexp.evaluation import plots

    draw = folder / "plots"
    plots.draw_curves(fit.history, fit.best_epoch, draw / "curves.png")
    plots.draw_confusion(evaluation.test, evaluation.threshold, draw / "confusion_matrix.png")
    plots.draw_roc(evaluation.test, evaluation.threshold, draw / "roc.png")
    plots.draw_precision_recall(evaluation.test, evaluation.threshold, draw / "precision_recall.png")
    (folder / "predictions").mkdir()
    for predictions in (evaluation.val, evaluation.test):
        predictions.write(folder / "predictions" / f"{predictions.split}.csv", threshold=evaluation.threshold)


def _export(
    config: TrainConfig, model: keras.Model, data: DataModule, evaluation: _Evaluation, run: Run, folder: Path
) -> Bundle:
    from medexp.registry.export import export_bundle

    return export_bundle(
        model,
        folder / "bundle",
        run_id=run.id,
        name=config.model["name"],
        data=data.spec,
        threshold=evaluation.threshold,
        metrics=evaluation.metrics,
        check_on=data.arrays("test").images[:CHECKED_IMAGES],
        native_log=folder / LOG,
    )


def _log_model(
    config: TrainConfig,
    model: keras.Model,
    bundle: Bundle,
    evaluation: _Evaluation,
    objective: Objective,
    metrics: Mapping[str, float],
    run: Run,
) -> str | None:
    from medexp.registry.flavor import write_flavor

    with tempfile.TemporaryDirectory() as scratch:
        flavor = Path(scratch) / "model"
        write_flavor(model, bundle.path, flavor)
        facts = {"model": config.model["name"], "data": config.data.name, "augmentation": config.data.aug}
        numbers = {f"best_{objective.metric}": metrics[objective.metric], **evaluation.metrics}
        return run.log_model(flavor, params={**facts, "seed": config.seed}, metrics=numbers)


def _write_history(fit: FitResult, path: Path) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["epoch", *fit.history[0]])
        table.writeheader()
        table.writerows({"epoch": epoch, **row} for epoch, row in enumerate(fit.history, 1))


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _redacted(child) for key, child in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_redacted(child) for child in value]
    return redacted(value)


def _keep(run: Run, log: Path) -> None:
    """Copy the log to the store, also after a failure: it must not hide what failed."""
    try:
        run.log_files(log)
    except MedexpError as error:
        logger.warning("the log could not be copied to the tracking store: %s", error)


def _say_data(spec: DataSpec) -> None:
    if spec.synthetic:
        logger.warning("data %s is SYNTHETIC: no patient's image, no number here says anything of patients", spec.name)
    for split, counts in spec.counts.items():
        logger.info("  %-5s %s", split, ", ".join(f"{n} {name}" for name, n in counts.items()))


def _say(result: RunResult, tracker: Tracker, folder: Path, *, sweeping: bool) -> None:
    if sweeping:  # the sweep's own table follows
        auc = result.metrics["test_auc"]
        logger.info("finished %s: %s %.4f, test_auc %.4f", result.run_id, result.objective.metric, result.score, auc)
        return
    from medexp.evaluation.summary import print_summary

    elsewhere = " ".join(o for o in task_overrides() if o.startswith(("paths.", "tracking.")))
    print_summary(result, where=tracker.where(result.run_id), log=folder / LOG, elsewhere=elsewhere)
