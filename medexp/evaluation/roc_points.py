"""All thresholds that a set of scores can tell apart, and which of them serves an aim."""

from __future__ import annotations

import numpy as np

from medexp.evaluation.aim import Aim

_EQUAL = 1e-12


class RocPoints:
    """The points of the ROC curve of one yes-or-no question, from the one that calls the fewest positive.

    Point i calls the images with the i + 1 highest distinct scores positive, so that the last one calls all; there is
    none that calls nothing positive.

    Args:
        truth: 1 or 0, (n,); both occur.
        scores: probability, (n,).
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        exact = scores.astype(np.float64)
        self._order = np.argsort(-exact, kind="stable")
        falling = exact[self._order]
        self._ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
        self._positive = truth[self._order] == 1
        lowest_positive = falling[self._ends]
        self.thresholds = (lowest_positive + np.append(lowest_positive[1:], 0.0)) / 2  # halfway to the next score
        one = np.ones((1, len(truth)))
        sensitivity, specificity = self.shares(one)
        self.sensitivity, self.specificity = sensitivity[0], specificity[0]

    def shares(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sensitivity and specificity of each point, (samples, points) each, of weighted images (samples, n)."""
        falling = weights.take(self._order, axis=1).astype(np.float64)
        found = np.cumsum(np.where(self._positive, falling, 0.0), axis=1)
        false = np.cumsum(np.where(self._positive, 0.0, falling), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            sensitivity = found[:, self._ends] / found[:, -1:]
            specificity = 1 - false[:, self._ends] / false[:, -1:]
        return sensitivity, specificity

    def chosen(self, aim: Aim, sensitivity: np.ndarray, specificity: np.ndarray) -> np.ndarray:
        """Return which point (samples,) serves the aim in each sample, of what `shares` says.

        Of equal ones that with the highest sensitivity; for `specificity` that with the highest specificity. Where no
        point has the specificity asked for, that with the highest.
        """
        if aim.kind == "sensitivity":
            reached = (sensitivity >= aim.value - _EQUAL).argmax(axis=1)
            return _last(specificity >= np.take_along_axis(specificity, reached[:, None], axis=1) - _EQUAL)
        if aim.kind == "specificity":
            reached = _last(specificity >= np.minimum(aim.value, specificity.max(axis=1, keepdims=True)) - _EQUAL)
            best = np.take_along_axis(sensitivity, reached[:, None], axis=1)
            return np.asarray((sensitivity >= best - _EQUAL).argmax(axis=1))
        weight = 1.0
        if aim.kind == "cost":
            positives = float(self._positive.sum())
            weight = aim.value * positives / (len(self._positive) - positives)
        worth = weight * sensitivity + specificity
        return _last(worth >= worth.max(axis=1, keepdims=True) - _EQUAL * (1 + weight))


def _last(true: np.ndarray) -> np.ndarray:
    """The last place of each row that is true."""
    return np.asarray(true.shape[1] - 1 - true[:, ::-1].argmax(axis=1))
