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
        self._tied = len(ends) < len(falling)
        if self._tied:
            starts = np.append(0, ends[:-1] + 1)
            run = np.searchsorted(ends, self._positive)
            self._first, self._last = starts[run], ends[run]
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
            upto = called.take(self._last if self._tied else self._positive, axis=1, mode="clip").astype(np.float64)
            if self._tied:
                found, before = self._of_ties(found, called)
                false = (upto - found + before) / 2
            else:
                false = upto - found
            auc = 1 - np.einsum("ij,ij->i", positive, false) / (total * rest)
            np.maximum(upto, np.finfo(np.float64).tiny, out=upto)
            np.divide(found, upto, out=found)
            precision = np.einsum("ij,ij->i", positive, found) / total
        return auc, np.where(rest > 0, precision, np.nan)

    def _of_ties(self, found: np.ndarray, called: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return, for each positive image, positives down to the end of its run, negatives above its run."""
        padded = np.pad(found, ((0, 0), (1, 0)))
        above = np.pad(called, ((0, 0), (1, 0))).take(self._first, axis=1)
        return padded.take(self._positives_upto, axis=1), above - padded.take(self._positives_before, axis=1)
