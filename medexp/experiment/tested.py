"""From trained weights to what may be served: fit on validation, measure on test, export, log, report."""

from __future__ import annotations

import csv
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.config.flatten import as_composed
from medexp.config.saved import ENVIRONMENT
from medexp.config.schema import TrainConfig
from medexp.evaluation.evidence_file import FOLDER, write_evidence
from medexp.experiment.data import AUDIT
from medexp.experiment.evaluate import Evaluated, evaluate
from medexp.experiment.fitted import Fitted, fit_on_validation, shipped_with
from medexp.experiment.recorded import Execution
from medexp.experiment.scored import Scores

if TYPE_CHECKING:
    import keras

    from medexp.data.module import DataModule
    from medexp.registry.bundle import Bundle

CHECKED_IMAGES = 32  # that an exported graph and Keras must agree on
GOLDEN_IMAGES = 4  # that travel with the model, with what it says of them


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


@dataclass(frozen=True)
class Origin:
    """Where the weights come from.

    Args:
        run_id: of the training.
        data: digest of what it was trained on.
        folder: of the training: its history and its audit.
        metrics: of validation, at the best epoch.
        own_data: whether that is what it is tested on.
    """

    run_id: str
    data: str
    folder: Path
    metrics: Mapping[str, float]
    own_data: bool = True


def test_and_export(
    config: TrainConfig, network: keras.Model, data: DataModule, execution: Execution, *, origin: Origin
) -> Tested:
    """Evaluate what will be served (the best weights, in float32, calibrated), and export, log and report it.

    On other data than the run's own nothing is fitted, and nothing exported: the model is measured as it was shipped.

    Args:
        config: says how.
        network: with the best weights, as trained.
        data: set up.
        execution: the run that evaluates; its folder gets `predictions/`, `plots/`, `evaluation/` and `bundle/`.
        origin: of the weights.
    """
    run, folder = execution.run, execution.folder
    scores = Scores(network, data, data.spec)
    if origin.own_data:
        fitted = fit_on_validation(network, scores, config.evaluation)
    else:
        fitted = shipped_with(origin.folder / "bundle", network)
    found = evaluate(
        network, fitted, scores, data, config.evaluation,
        run_id=origin.run_id, evaluation_id=run.id, trained_on=origin.data, folder=folder, own_data=origin.own_data,
    )  # fmt: skip
    _write(found, folder)
    run.log_metrics(found.metrics, step=0)  # of the whole run: MLflow draws bars, not a point on a curve
    for name in ("predictions", "plots"):
        run.log_files(folder / name, name)
    bundle, uri = None, None
    if origin.own_data:
        bundle = _export(config, fitted, found, data, execution, origin)
        uri = _log_model(config, fitted, found, bundle, execution, origin)
    write_evidence(found.evidence, folder / FOLDER)
    if config.evaluation.report:
        _report(config, found, folder, origin, bundle)
    run.log_files(folder / FOLDER, FOLDER)
    run.log_tags({"medexp.evaluation": run.id})
    return Tested(found.metrics, None if bundle is None else bundle.path, uri, len(found.test.keys))


def _write(found: Evaluated, folder: Path) -> None:
    """Write `predictions/` and `plots/` into `folder`."""
    from medexp.evaluation import plots
    from medexp.evaluation.confusion import draw_confusion

    draw = folder / "plots"
    draw_confusion(found.test, found.thresholds, draw / "confusion_matrix.png")
    operating = found.evidence.operating
    achieved = None if operating is None else operating.test
    plots.draw_roc(found.test, found.thresholds, draw / "roc.png", achieved=achieved)
    plots.draw_precision_recall(found.test, found.thresholds, draw / "precision_recall.png")
    (folder / "predictions").mkdir(exist_ok=True)
    for predictions in (found.val, found.test):
        if predictions is not None:
            predictions.write(folder / "predictions" / f"{predictions.split}.csv", thresholds=found.thresholds)


def _export(
    config: TrainConfig, fitted: Fitted, found: Evaluated, data: DataModule, execution: Execution, origin: Origin
) -> Bundle:
    """Write the bundle, and check that its graphs say what Keras says."""
    from medexp.models.class_probabilities import class_probabilities
    from medexp.models.serving import serving_model
    from medexp.registry.export import export_bundle

    folder = execution.folder
    shutil.rmtree(folder / "bundle", ignore_errors=True)  # what a killed run left
    task = data.spec.task
    return export_bundle(
        class_probabilities(fitted.network, task=task),
        folder / "bundle",
        serving=serving_model(fitted.network, task=task),
        run_id=origin.run_id,
        name=config.model["name"],
        data=data.spec,
        calibration=fitted.calibration,
        operating_point=fitted.operating_point,
        conformal=fitted.conformal,
        feature_space=fitted.space,
        metrics=found.evidence.metrics["test"],
        engines=config.evaluation.engines,
        check_on=data.images("val", data.spread("val", CHECKED_IMAGES)),
        golden=data.images("val", data.spread("val", GOLDEN_IMAGES)),
        facts=_facts(config, origin.folder),
        native_log=execution.log,
    )


def _facts(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """What the passport says of the code that trained, and of the use."""
    environment = _json(folder / ENVIRONMENT)
    return {
        "commit": environment.get("git_commit"),
        "dirty": environment.get("git_dirty"),
        "intended_use": config.card.intended_use,
        "not_for": config.card.not_for,
    }


def _log_model(
    config: TrainConfig, fitted: Fitted, found: Evaluated, bundle: Bundle, execution: Execution, origin: Origin
) -> str | None:
    """Record the model with its bundle inside; return its URI, None where it is not in a store (yet)."""
    from medexp.models.class_probabilities import class_probabilities
    from medexp.registry.flavor import write_flavor

    run = execution.run
    flavor = run.outbox / f"model-{uuid.uuid4().hex[:8]}"  # one of before a crash may be on its way
    write_flavor(class_probabilities(fitted.network, task=found.test.task), bundle.path, flavor)
    facts = {"model": config.model["name"], "data": config.data.name, "augmentation": config.data.aug}
    objective = config.objective.metric
    numbers = {f"best_{objective}": origin.metrics[objective], **found.metrics}
    return run.log_model(flavor, params={**facts, "seed": config.seed}, metrics=numbers)


def _report(config: TrainConfig, found: Evaluated, folder: Path, origin: Origin, bundle: Bundle | None) -> None:
    from dataclasses import asdict

    from medexp.evaluation.report.write import write_report
    from medexp.registry.passport import read_passport

    write_report(
        found.evidence,
        folder=folder,
        config=as_composed(config),
        history=_history(origin.folder / "history.csv"),
        audit=_json(origin.folder / AUDIT / "audit.json") or None,
        card=config.card.model_dump(),
        environment=_json(origin.folder / ENVIRONMENT),
        passport=asdict(read_passport(origin.folder / "bundle") if bundle is None else bundle.passport),
    )


def _history(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
