"""What a model is worth: read `evaluate` from top to bottom."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.config.schema_evaluation import EvaluationConfig
from medexp.evaluation.evidence_file import FOLDER
from medexp.experiment.fitted import Fitted
from medexp.experiment.in_batches import in_batches
from medexp.experiment.numbers import numbers
from medexp.experiment.saliency import saliency
from medexp.experiment.scored import Scores

if TYPE_CHECKING:
    import keras

    from medexp.data.module import DataModule
    from medexp.evaluation.evidence import Evidence, RobustnessSection
    from medexp.evaluation.predictions import Predictions

_DATA_FACTS = ("name", "digest", "split", "source", "counts", "images", "synthetic")


@dataclass(frozen=True)
class Evaluated:
    """One model on one data set.

    Args:
        evidence: all that was found.
        val: calibrated predictions of validation; None where the data set is another than the model's own.
        test: calibrated predictions of the images that were evaluated.
        thresholds: of the operating point.
        metrics: for MLflow and `result.json`.
    """

    evidence: Evidence
    val: Predictions | None
    test: Predictions
    thresholds: Mapping[str, float]
    metrics: Mapping[str, float]


def evaluate(
    network: keras.Model,
    fitted: Fitted,
    scores: Scores,
    data: DataModule,
    config: EvaluationConfig,
    *,
    run_id: str,
    evaluation_id: str,
    trained_on: str,
    folder: Path,
    own_data: bool = True,
) -> Evaluated:
    """Measure a model on the test split, with intervals, and draw it: pictures go to `folder`/evaluation.

    Args:
        network: as it was trained, before calibration.
        fitted: what validation decided.
        scores: of `network` on `data`.
        data: set up.
        config: says what is asked for.
        run_id: of the training.
        evaluation_id: of the run that evaluates.
        trained_on: digest of the data that the network was trained on.
        folder: of the run that evaluates.
        own_data: whether that is this data: else there is no validation split to speak of.
    """
    from medexp.evaluation.abstention.drawing import draw_abstention
    from medexp.evaluation.abstention.section import abstention_section
    from medexp.evaluation.calibration import calibration_section
    from medexp.evaluation.decision_curve import draw_decision_curve
    from medexp.evaluation.evidence import Evidence
    from medexp.evaluation.intervals import metric_estimates, resampling
    from medexp.evaluation.metrics import classification_metrics
    from medexp.evaluation.operating_section import operating_section
    from medexp.evaluation.reliability import draw_reliability
    from medexp.evaluation.robustness.drawing import draw_corruptions, draw_robustness
    from medexp.evaluation.subgroups import draw_subgroups, subgroup_section

    how: dict[str, Any] = {"resamples": config.resamples, "confidence": config.confidence}
    thresholds = fitted.operating_point.thresholds
    where, pictures = folder / FOLDER, {}

    # ---- metrics, the least of all that is asked for
    val = scores.predictions("val", fitted.network) if own_data else None
    test = scores.predictions("test", fitted.network)
    splits = [test] if val is None else [val, test]
    for split in splits:  # a split that cannot be scored is an error, and the log names classes that cannot
        classification_metrics(split, thresholds=thresholds)
    metrics = {split.split: metric_estimates(split, thresholds=thresholds, **how) for split in splits}

    # ---- calibration
    raw = scores.predictions("test", network)
    calibration = calibration_section(fitted.calibration, before=raw, after=test, **how)
    draw_reliability(calibration, where / "reliability.png")
    pictures["Reliability"] = "reliability.png"

    # ---- operating point
    operating = operating_section(test, chosen=fitted.operating_point, prevalence=config.prevalence, **how)
    if operating.curve:
        draw_decision_curve(operating, where / "decision_curve.png")
        pictures["Decision curve"] = "decision_curve.png"

    # ---- subgroups
    subgroups = None
    if config.subgroups != "none":
        subgroups = subgroup_section(
            test, thresholds=thresholds, columns=config.subgroups, smallest=config.smallest_subgroup, **how
        )
    if subgroups is not None and subgroups.subgroups:
        draw_subgroups(subgroups, where / "subgroups.png")
        pictures["Subgroups"] = "subgroups.png"

    # ---- images that are worse, and images that are strange
    robustness = _robustness(test, fitted, data, config, how)
    if robustness is not None:
        draw_robustness(robustness, where / "robustness.png")
        pictures["Robustness"] = "robustness.png"
        example = data.images("test", data.spread("test", 1))[0]
        draw_corruptions(example, where / "corruptions.png", corruptions=config.corruptions)
        pictures["A test image under each corruption"] = "corruptions.png"
    features = scores.features("test")
    abstention = abstention_section(
        test, conformal=fitted.conformal, space=fitted.space, features_test=features, thresholds=thresholds,
        confidence=config.confidence,
    )  # fmt: skip
    draw_abstention(
        abstention, where / "abstention.png", space=fitted.space,
        features_val=scores.features("val") if own_data else None, features_test=features,
    )  # fmt: skip
    pictures["Abstention"] = "abstention.png"

    # ---- where it looks
    shown = None
    if config.saliency:
        shown = saliency(fitted.network, test, data, thresholds=thresholds, folder=where, count=config.gallery)

    evidence = Evidence(
        run_id=run_id,
        evaluation_id=evaluation_id,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        task=test.task,
        class_names=test.class_names,
        data={key: value for key, value in asdict(data.spec).items() if key in _DATA_FACTS},
        trained_on=trained_on,
        resampling=resampling(test, **how),
        metrics=metrics,
        calibration=calibration,
        operating=operating,
        subgroups=subgroups,
        robustness=robustness,
        abstention=abstention,
        saliency=shown,
        pictures=pictures,
    )
    return Evaluated(evidence, val, test, thresholds, numbers(evidence))


def _robustness(
    test: Predictions, fitted: Fitted, data: DataModule, config: EvaluationConfig, how: Mapping[str, Any]
) -> RobustnessSection | None:
    import numpy as np

    from medexp.evaluation.robustness.section import robustness_section
    from medexp.imaging.scale import scale
    from medexp.models.class_probabilities import class_probabilities

    if not config.corruptions:
        return None
    model = class_probabilities(fitted.network, task=test.task)
    places = data.spread("test", config.corrupted_images)

    def predict(images: np.ndarray) -> np.ndarray:
        return in_batches(model, scale(images).astype(np.float32))

    return robustness_section(
        data.images("test", places), test.take(places), predict=predict, corruptions=config.corruptions,
        thresholds=fitted.operating_point.thresholds, **how,
    )  # fmt: skip
