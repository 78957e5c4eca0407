"""From probabilities to an answer, in evaluation and in the service alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medexp.types import Task


def decide(
    probabilities: np.ndarray, *, task: Task, class_names: Sequence[str], thresholds: Mapping[str, float]
) -> np.ndarray:
    """Return what is decided; a probability equal to its threshold is positive.

    Args:
        probabilities: of each class, (n, classes).
        task: what kind of labels.
        class_names: binary: (negative, positive).
        thresholds: by class name. Binary: of the positive class; multi-label: of every class. Empty for the other
            tasks, and for a binary one whose most probable class is meant.

    Returns:
        Class indices (n,); multi-label: 0 or 1 for each class (n, classes).
    """
    exact = probabilities.astype(np.float64)
    if task == "multilabel":
        return np.asarray(exact >= np.array([thresholds[name] for name in class_names]), dtype=int)
    if task == "binary" and thresholds:
        return np.asarray(exact[:, 1] >= thresholds[class_names[1]], dtype=int)
    return np.asarray(exact.argmax(axis=1))
