"""What is fitted on validation and travels with a model: calibration, operating point, conformal limits, features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.schema_evaluation import EvaluationConfig
from medexp.decision.conformal import Conformal
from medexp.decision.feature_space import FILE as SPACE_FILE
from medexp.decision.feature_space import FeatureSpace
from medexp.decision.operating_point import OperatingPoint
from medexp.types import Calibration

if TYPE_CHECKING:
    import keras

    from medexp.experiment.scored import Scores


@dataclass(frozen=True)
class Fitted:
    """All that validation decides, and the network with its calibration inside.

    Args:
        network: calibrated, with the outputs of the trained one.
        calibration: what is inside it.
        operating_point: its thresholds, for probabilities of `network`.
        conformal: limits of its probabilities.
        space: of its features.
    """

    network: keras.Model
    calibration: Calibration
    operating_point: OperatingPoint
    conformal: Conformal
    space: FeatureSpace


def fit_on_validation(network: keras.Model, scores: Scores, config: EvaluationConfig) -> Fitted:
    """Fit what evaluation and service apply; nothing of the test split is looked at.

    Args:
        network: trained; stays as it is.
        scores: of the validation split, and features of the training split.
        config: says how.
    """
    from medexp.evaluation.abstention.conformal import fit_conformal
    from medexp.evaluation.abstention.feature_space import fit_feature_space
    from medexp.evaluation.calibration import fit_calibration
    from medexp.evaluation.operating_point import choose_operating_point
    from medexp.models.calibrated import calibrated

    raw = scores.predictions("val", network)
    calibration = fit_calibration(raw, method=config.calibration, logits=scores.logits("val", network))
    ready = calibrated(network, task=raw.task, calibration=calibration)
    val = scores.predictions("val", ready)
    point = choose_operating_point(
        val, aim=config.operating_point, resamples=config.resamples, confidence=config.confidence
    )
    conformal = fit_conformal(val, coverage=config.coverage)
    space = fit_feature_space(
        scores.features("train", limit=config.feature_images),
        scores.features("val"),
        false_refusal=config.false_refusal,
    )
    return Fitted(ready, calibration, point, conformal, space)


def shipped_with(bundle: Path, network: keras.Model) -> Fitted:
    """Return what the bundle of a run holds: for its evaluation on other data, where nothing is fitted again."""
    from medexp.models.calibrated import calibrated
    from medexp.registry.passport import read_passport

    passport = read_passport(bundle)
    return Fitted(
        calibrated(network, task=passport.task, calibration=passport.calibration),
        passport.calibration,
        passport.operating_point,
        passport.conformal,
        FeatureSpace.read(bundle / SPACE_FILE),
    )
