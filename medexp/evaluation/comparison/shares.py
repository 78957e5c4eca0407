"""Metrics that are a share of images: each image is right or wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.predictions import Predictions


def right_answers(predictions: Predictions, *, metric: str, thresholds: Mapping[str, float]) -> np.ndarray | None:
    """Return which of the images that a metric counts have the right answer, bool (m,); the metric is its mean.

    `accuracy` (all images; of multi-label ones `subset_accuracy`), `sensitivity` and `specificity` of a binary task or
    of one class (`sensitivity/<class>`). None for every other metric, and where it counts no image.
    """
    name, _, key = metric.partition("/")
    decided, labels = predictions.decisions(thresholds), predictions.labels
    several = predictions.task == "multilabel"
    if metric == ("subset_accuracy" if several else "accuracy"):
        right = decided == labels
        return np.asarray(right.all(axis=1) if several else right)
    if name not in ("sensitivity", "specificity"):
        return None
    if key:
        places = {text: i for i, text in enumerate(metric_keys(predictions.class_names).values())}
        if key not in places:
            return None
        of = places[key]
    elif predictions.task == "binary":
        of = 1
    else:
        return None
    true, called = (labels[:, of] == 1, decided[:, of] == 1) if several else (labels == of, decided == of)
    asked = true if name == "sensitivity" else ~true
    return (called == true)[asked] if asked.any() else None
