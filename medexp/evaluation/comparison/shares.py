"""Metrics that are a share of the same images whatever a model says: each image is right or wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medexp.evaluation.predictions import Predictions
from medexp.evaluation.proportions import proportions

_OF_WHAT_WAS_SAID = ("ppv", "npv")  # shares of those called so: of other images for each model


def right_answers(predictions: Predictions, *, metric: str, thresholds: Mapping[str, float]) -> np.ndarray | None:
    """Return which of the images that a metric counts have the right answer, bool (m,); the metric is its mean.

    None for a metric that is no such share: only accuracy (of multi-label images `subset_accuracy`), sensitivity and
    specificity are, of a binary task or of one class.
    """
    if metric.partition("/")[0] in _OF_WHAT_WAS_SAID:
        return None
    found = proportions(predictions, thresholds=thresholds).get(metric)
    return None if found is None else found.right[found.among]
