"""Choose the operating point of a binary task on validation data; 0.5 is not one."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_curve


def youden_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the threshold that maximises J = sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950).

    Halfway between the lowest score called positive and the highest called negative, so that a score moved by
    rounding keeps its side. Of equal maxima the one with the highest sensitivity.

    Args:
        labels: 1 for the positive class, 0 for the other, shape (n,); both occur.
        scores: probability of the positive class, shape (n,).

    Returns:
        A threshold between 0 and 1; a score equal to it is positive. It has double precision, because halfway
        between neighbouring `float32` there is no `float32`: compare scores in double precision.
    """
    false_positive, sensitivity, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    j = sensitivity - false_positive
    lowest_positive = thresholds[np.flatnonzero(j >= j.max() - 1e-12)[-1]]
    below = scores[scores < lowest_positive]
    highest_negative = float(below.max()) if len(below) else 0.0
    return (float(lowest_positive) + highest_negative) / 2
