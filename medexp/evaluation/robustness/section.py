"""Measure a model on images made worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medexp.evaluation.evidence import Corrupted, RobustnessSection
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.robustness.corruption import SEVERITIES, corrupt


def robustness_section(
    images: np.ndarray,
    predictions: Predictions,
    *,
    predict: Callable[[np.ndarray], np.ndarray],
    corruptions: Sequence[str],
    thresholds: Mapping[str, float],
    resamples: int,
    confidence: float,
    seed: int = 0,
) -> RobustnessSection:
    """Return all metrics of the same images under each corruption, at each of five severities, and as they are.

    Operating point and calibration stay those of clean images, as they would where nobody notices.

    Args:
        images: prepared, `uint8` or `uint16`, (n, height, width, channels).
        predictions: of these images, clean, in their order.
        predict: from prepared images to calibrated class probabilities (n, classes), as `predictions` has them.
        corruptions: what `corrupt` takes.
        thresholds: of the operating point, by class name.
        resamples: bootstrap samples for intervals; all conditions have the same.
        confidence: of each interval.
        seed: of noise.

    Raises:
        ConfigError: there is no such corruption.
        DataError: of no class are there images with and without.
    """
    how: dict[str, Any] = {"thresholds": thresholds, "resamples": resamples, "confidence": confidence}
    found = []
    for corruption in dict.fromkeys(corruptions):
        for severity in SEVERITIES:
            worse = corrupt(images, corruption=corruption, severity=severity, seed=seed)
            seen = replace(predictions, probabilities=np.asarray(predict(worse)))
            found.append(Corrupted(corruption, severity, metric_estimates(seen, **how)))
    return RobustnessSection(len(images), metric_estimates(predictions, **how), tuple(found))
