"""Areas under curves, of many weighted samples at once."""

from __future__ import annotations

import numpy as np

_CELLS = 2**18  # weights that are sorted at a time: they stay in the processor's cache


class Ranking:
    """One yes-or-no question whose images are sorted once, for any weights of the images.

    Args:
        truth: 1 or 0, (n,).
        scores: larger is more positive, (n,).
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        self._order = np.argsort(-scores, kind="stable")
        falling = scores[self._order]
        self._positive = np.flatnonzero(truth[self._order])
        ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of runs of equal scores
        starts = np.append(0, ends[:-1] + 1)
        run = np.searchsorted(ends, self._positive)
        self._tied = np.flatnonzero(starts[run] < ends[run])  # of the positive images
        self._first, self._last = starts[run[self._tied]], ends[run[self._tied]]
        self._positives_before = np.searchsorted(self._positive, self._first)
        self._positives_upto = np.searchsorted(self._positive, self._last, side="right")

    def areas(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the area under the ROC curve and the average precision of each sample, (samples,).

        Ties count half in the first (Hanley and McNeil, Radiology 143:29, 1982), and are one step in the second, which
        is not interpolated. NaN where one answer does not occur.

        Args:
            weights: of the images, (samples, n), 0 or more.
        """
        step = max(1, _CELLS // max(weights.shape[1], 1))
        parts = [self._areas(weights[i : i + step]) for i in range(0, len(weights), step)]
        return np.concatenate([auc for auc, _ in parts]), np.concatenate([precision for _, precision in parts])

    def _areas(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        exact = np.int64 if np.issubdtype(weights.dtype, np.integer) else np.float64
        falling = weights.take(self._order, axis=1, mode="clip")
        called = np.cumsum(falling, axis=1, dtype=exact)
        positive = falling.take(self._positive, axis=1, mode="clip").astype(np.float64)
        found = np.cumsum(positive, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            total = positive.sum(axis=1)
            rest = called[:, -1] - total
            upto = called.take(self._positive, axis=1, mode="clip").astype(np.float64)
            false = upto - found
            if len(self._tied):
                self._of_ties(upto, found, false, called)
            auc = 1 - np.einsum("ij,ij->i", positive, false) / (total * rest)
            np.maximum(upto, np.finfo(np.float64).tiny, out=upto)
            np.divide(found, upto, out=found)
            precision = np.einsum("ij,ij->i", positive, found) / total
        return auc, np.where(rest > 0, precision, np.nan)

    def _of_ties(self, upto: np.ndarray, found: np.ndarray, false: np.ndarray, called: np.ndarray) -> None:
        """Count, in place, to the end of its run for each positive image of one; half of its negatives are above."""
        before = found.take(self._positives_before - 1, axis=1, mode="clip") * (self._positives_before > 0)
        found_upto = found.take(self._positives_upto - 1, axis=1)
        above = called.take(self._first - 1, axis=1, mode="clip") * (self._first > 0)
        called_upto = called.take(self._last, axis=1)
        false[:, self._tied] = (called_upto - found_upto + above - before) / 2
        upto[:, self._tied] = called_upto
        found[:, self._tied] = found_upto
