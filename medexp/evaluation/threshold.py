"""Choose operating points on validation data; 0.5 is not one."""

from __future__ import annotations

import logging

import numpy as np
from sklearn.metrics import roc_curve

from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.predictions import Predictions

logger = logging.getLogger(__name__)
UNKNOWN = 0.5  # of a class that validation cannot tell one for


def choose_thresholds(predictions: Predictions) -> dict[str, float]:
    """Return thresholds by class name, each by Youden's index: what `Predictions.decisions` takes.

    Of the positive class of a binary task, of every class of a multi-label one; none for the other tasks, whose answer
    is the most probable class. A class that all images of `predictions` have, or none, has no ROC curve: it gets 0.5,
    and the log names it.
    """
    if predictions.task not in ("binary", "multilabel"):
        return {}
    asked = questions(predictions)
    if undefined := [question.name for question in asked if not question.defined]:
        logger.warning("%s tells no threshold of %s: 0.5 is taken", predictions.split, ", ".join(undefined))
    return {q.name: youden_threshold(q.truth, q.scores) if q.defined else UNKNOWN for q in asked}


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
