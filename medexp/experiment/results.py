"""What the best weights are worth, and what is served: evaluate, draw, export, log."""

from __future__ import annotations

import csv
import shutil
import statistics
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.schema import TrainConfig
from medexp.errors import TrainingError
from medexp.tracking.base import Run
from medexp.types import DataSpec, FitResult, Objective, Split

if TYPE_CHECKING:
    import keras

    from medexp.data.module import DataModule
    from medexp.evaluation.evaluation import Evaluation
    from medexp.evaluation.predictions import Predictions
    from medexp.models.module import ClassifierModule
    from medexp.registry.bundle import Bundle

CHECKED_IMAGES = 16  # that the exported graph and Keras must agree on


@dataclass(frozen=True)
class Tested:
    """What the best weights are worth on the test set, and what of them can be served; empty for a run without.

    Args:
        metrics: of the test set, and thresholds.
        bundle: its folder.
        model_uri: of the model in a store.
        images: of the test set.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    bundle: Path | None = None
    model_uri: str | None = None
    images: int = 0


def fit_metrics(fit: FitResult) -> dict[str, float]:
    """Return the metrics of the best weights, and what training and network cost.

    `epoch_seconds` is the median of all epochs: the first one compiles.
    """
    return {
        **fit.best,
        "epoch_seconds": statistics.median(row["epoch_seconds"] for row in fit.history),
        "seconds": fit.seconds,
        "parameters": float(fit.parameters),
    }


def test_and_export(
    config: TrainConfig, module: ClassifierModule, data: DataModule, fit: FitResult, run: Run, folder: Path, log: Path
) -> Tested:
    """Evaluate what will be served (the best weights, in float32, one probability per class), export and log it."""
    objective = Objective(config.objective.metric, config.objective.mode)
    model = best_model(module, data.spec, fit)
    evaluation = evaluate(model, data, data.spec)
    write_results(fit, evaluation, data, folder)
    run.log_metrics(evaluation.metrics, step=0)  # of the whole run: MLflow draws bars, not a point on a curve
    for name in ("predictions", "plots"):
        run.log_files(folder / name, name)
    bundle = export(config, model, data, evaluation, run, folder, log)
    metrics = {**fit.best, **evaluation.metrics}
    uri = log_model(config, model, bundle, evaluation, objective, metrics, run)
    return Tested(evaluation.metrics, bundle.path, uri, len(evaluation.test.keys))


def best_model(module: ClassifierModule, spec: DataSpec, fit: FitResult) -> keras.Model:
    """Return the network with its best weights, built in float32 whatever it was trained in."""
    import keras

    from medexp.models.class_probabilities import class_probabilities

    keras.config.set_dtype_policy("float32")
    network = module.build(spec)
    network.load_weights(fit.best_weights)
    return class_probabilities(network, task=spec.task)


def evaluate(model: keras.Model, data: DataModule, spec: DataSpec) -> Evaluation:
    """Predict validation and test, choose thresholds on the one, and measure both."""
    from medexp.evaluation.evaluation import evaluate

    return evaluate(_predict(model, data, spec, "val"), _predict(model, data, spec, "test"))


def _predict(model: keras.Model, data: DataModule, spec: DataSpec, split: Split) -> Predictions:
    import numpy as np

    from medexp.evaluation.predictions import Predictions

    part = data.examples(split)
    probabilities = model.predict(data.batches(split), verbose=0)
    if not np.isfinite(probabilities).all():
        raise TrainingError(
            f"The training diverged. Received: no numbers as probabilities of {split}, from the best weights there "
            "were. Try a smaller optimizer.learning_rate"
        )
    return Predictions(
        split, part.keys, part.labels, probabilities, spec.class_names, spec.task, part.groups, part.metadata
    )


def draw_augmentation(
    policy: str, layers: Sequence[keras.layers.Layer], data: DataModule, path: Path, *, seed: int
) -> None:
    """Draw what the first step makes of a few training images; nothing where images stay as they are."""
    from medexp.evaluation.contact_sheet import draw_contact_sheet
    from medexp.training.preview import preview

    if not layers:
        return
    seen = preview(data.train(), layers, seed=seed)
    spec = data.spec
    draw_contact_sheet(
        seen.images,
        seen.targets,
        seen.augmented,
        seen.mixed,
        task=spec.task,
        class_names=spec.class_names,
        policy=policy,
        path=path,
    )


def write_history(fit: FitResult, folder: Path) -> Path:
    """Write `history.csv` into `folder`."""
    path = folder / "history.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["epoch", *fit.history[0]])
        table.writeheader()
        table.writerows({"epoch": epoch, **row} for epoch, row in enumerate(fit.history, 1))
    return path


def write_results(fit: FitResult, evaluation: Evaluation, data: DataModule, folder: Path) -> None:
    """Write `predictions/` and `plots/` into `folder`."""
    from medexp.evaluation import plots
    from medexp.evaluation.confusion import draw_confusion

    draw = folder / "plots"
    plots.draw_curves(fit.history, fit.best_epoch, draw / "curves.png")
    draw_confusion(evaluation.test, evaluation.thresholds, draw / "confusion_matrix.png")
    plots.draw_roc(evaluation.test, evaluation.thresholds, draw / "roc.png")
    plots.draw_precision_recall(evaluation.test, evaluation.thresholds, draw / "precision_recall.png")
    (folder / "predictions").mkdir(exist_ok=True)
    for predictions in (evaluation.val, evaluation.test):
        predictions.write(
            folder / "predictions" / f"{predictions.split}.csv",
            thresholds=evaluation.thresholds,
        )


def export(
    config: TrainConfig, model: keras.Model, data: DataModule, evaluation: Evaluation, run: Run, folder: Path, log: Path
) -> Bundle:
    """Write the bundle, and check that its graph says what Keras says."""
    from medexp.imaging.scale import scale
    from medexp.registry.export import export_bundle

    shutil.rmtree(folder / "bundle", ignore_errors=True)  # what a killed run left
    return export_bundle(
        model,
        folder / "bundle",
        run_id=run.id,
        name=config.model["name"],
        data=data.spec,
        thresholds=evaluation.thresholds,
        metrics=evaluation.metrics,
        check_on=scale(data.images("test", data.spread("test", CHECKED_IMAGES))),
        native_log=log,
    )


def log_model(
    config: TrainConfig,
    model: keras.Model,
    bundle: Bundle,
    evaluation: Evaluation,
    objective: Objective,
    metrics: Mapping[str, float],
    run: Run,
) -> str | None:
    """Record the model with its bundle inside; return its URI, None where it is not in a store (yet)."""
    from medexp.registry.flavor import write_flavor

    flavor = run.outbox / f"model-{uuid.uuid4().hex[:8]}"  # one of before a crash may be on its way
    write_flavor(model, bundle.path, flavor)
    facts = {"model": config.model["name"], "data": config.data.name, "augmentation": config.data.aug}
    numbers = {f"best_{objective.metric}": metrics[objective.metric], **evaluation.metrics}
    return run.log_model(flavor, params={**facts, "seed": config.seed}, metrics=numbers)
