"""Which images are nearly the same: copies that were compressed, rescaled, brightened or shifted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medexp.data.audit.alignment import aligned_correlation, details
from medexp.data.audit.perceptual_hash import near_pairs

_FALSE_PAIRS = 0.05
_LOWEST, _HIGHEST = 0.90, 0.995
_ENOUGH = 200
_FLAT = 1.0


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of images that are nearly the same, the most alike first.

    Args:
        first: row of the one, shape (pairs,).
        second: row of the other.
        correlation: of their details once aligned, shape (pairs,).
        threshold: the correlation from which on a pair counts.
        unrelated: the median correlation of look-alikes that cannot be copies: what the threshold was set against.
        hash_distance: the largest Hamming distance of hashes whose pairs were compared.
        compared: how many pairs were.
        flat: images without any structure, which were left out.
    """

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray
    threshold: float
    unrelated: float
    hash_distance: int
    compared: int
    flat: int


def near_duplicates(
    grey: np.ndarray, *, rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int
) -> NearDuplicates:
    """Compare all pairs by a perceptual hash, and those that are near by their aligned details.

    How alike two images are that are *not* copies differs from set to set, so the threshold comes from the set: of
    the pairs with near hashes, those of different groups *and* different labels cannot be copies (unless a label is
    wrong, which is rare). Of their correlations, as Fisher's z (artanh r, nearly normal), the median and the 90th
    percentile give centre and spread, which a few wrong labels do not move; the threshold is where 0.05 pairs of all
    that were compared would be expected above it by chance, and never below 0.90.

    Args:
        grey: float32 (n, 32, 32).
        rows: which images to compare: readable, and one of each set of identical ones.
        labels: an integer for each image, (n,).
        groups: an integer for each image, (n,).
        seed: of the sample that sets the hash distance.
    """
    structured = grey[rows].reshape(len(rows), -1).std(axis=1) >= _FLAT
    flat = int((~structured).sum())
    rows = rows[structured]
    if len(rows) < 2:
        none, score = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
        return NearDuplicates(none, none, score, _HIGHEST, float("nan"), hash_distance=0, compared=0, flat=flat)
    pairs = near_pairs(grey[rows], seed=seed)
    score = aligned_correlation(details(grey[rows]), pairs.first, pairs.second)
    first, second = rows[pairs.first], rows[pairs.second]
    threshold, unrelated = _threshold(score, first, second, labels, groups)
    found = np.flatnonzero(score >= threshold)
    found = found[np.argsort(-score[found], kind="stable")]
    return NearDuplicates(
        first=first[found],
        second=second[found],
        correlation=score[found],
        threshold=threshold,
        unrelated=unrelated,
        hash_distance=pairs.distance,
        compared=len(score),
        flat=flat,
    )


def _threshold(
    score: np.ndarray, first: np.ndarray, second: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> tuple[float, float]:
    from scipy.stats import norm

    apart = groups[first] != groups[second]
    null = score[apart & (labels[first] != labels[second])]
    if len(null) < _ENOUGH:
        null = score[apart]
    if len(null) < _ENOUGH:
        return _HIGHEST, float("nan")
    middle, high = np.quantile(np.arctanh(np.clip(null, -0.999999, 0.999999)), [0.5, 0.9])
    spread = (high - middle) / norm.ppf(0.9)
    threshold = np.tanh(middle + spread * norm.isf(_FALSE_PAIRS / len(score)))
    return float(np.clip(threshold, _LOWEST, _HIGHEST)), float(np.tanh(middle))
