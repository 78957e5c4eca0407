"""The tests that the audit rests on, where scikit-learn and SciPy do not have them as needed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve with its 95 % interval."""

    value: float
    low: float
    high: float


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for their number (Holm, 1979), in the same order."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def design_effect(has: np.ndarray, groups: np.ndarray) -> float:
    """Return how many times the variance of a share grows because images come in groups; at least 1.

    The variance of a ratio estimated from whole groups, over that of independent images (Rao and Scott, 1981).
    """
    count, share = len(has), float(has.mean()) if len(has) else 0.0
    sizes = np.bincount(groups)
    hits = np.bincount(groups, weights=has)[sizes > 0]
    sizes = sizes[sizes > 0]
    if len(sizes) < 2 or len(sizes) == count or share in (0.0, 1.0):
        return 1.0
    clustered = len(sizes) / (len(sizes) - 1) * float(((hits - share * sizes) ** 2).sum()) / count**2
    return max(1.0, clustered / (share * (1 - share) / count))


def two_proportions(x: np.ndarray, y: np.ndarray, *, design_effect: float) -> float:
    """Return the p-value that two shares of yes (bool arrays) differ by chance alone."""
    from scipy.stats import chi2, fisher_exact

    table = np.array([[x.sum(), len(x) - x.sum()], [y.sum(), len(y) - y.sum()]], dtype=float)
    rows, columns = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    if not (rows.all() and columns.all()):
        return 1.0
    expected = rows @ columns / table.sum()
    if expected.min() < 5 and design_effect < 1.05:
        return float(fisher_exact(table).pvalue)
    return float(chi2.sf(((table - expected) ** 2 / expected).sum() / design_effect, df=1))


def cramers_v(classes: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return Cramer's V, corrected for its bias (Bergsma, 2013), and the p-value of chi-squared.

    Args:
        classes: integer codes, (n,).
        values: integer codes, (n,).
    """
    from scipy.stats import chi2

    table = np.zeros((classes.max() + 1, values.max() + 1))
    np.add.at(table, (classes, values), 1)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    (r, c), n = table.shape, table.sum()
    if min(r, c) < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) @ table.sum(axis=0, keepdims=True) / n
    statistic = ((table - expected) ** 2 / expected).sum()
    phi = max(0.0, statistic / n - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    smaller = min(rows, columns) - 1
    return (float(np.sqrt(phi / smaller)) if smaller > 0 else 0.0), float(chi2.sf(statistic, df=(r - 1) * (c - 1)))


def macro_area(has: np.ndarray, scores: np.ndarray, groups: np.ndarray, *, seed: int, resamples: int = 200) -> Area:
    """Return the mean over classes of the area under the ROC curve, one against rest, and its bootstrap interval.

    Whole groups are drawn with replacement, 200 times (percentile interval).

    Args:
        has: whether each image has each class, bool (n, classes); classes that all or none have are left out.
        scores: of each class, (n, classes).
        groups: integer codes, (n,).
        seed: of the bootstrap.
        resamples: of the bootstrap.
    """
    usable = np.flatnonzero(has.any(axis=0) & ~has.all(axis=0))
    if not len(usable):
        return Area(float("nan"), float("nan"), float("nan"))
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    count = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float32)
    weights = np.concatenate([np.ones((1, len(codes)), np.float32), drawn[:, codes]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without any of a class
        areas = np.nanmean([_weighted_areas(has[:, i], scores[:, i], weights) for i in usable], axis=0)
    low, high = np.nanquantile(areas[1:], [0.025, 0.975])
    return Area(float(areas[0]), float(low), float(high))


def area(has: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count half."""
    return float(_weighted_areas(has, score, np.ones((1, len(has)), np.float32))[0])


def _weighted_areas(has: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The area for each row of weights, shape (rows,)."""
    order = np.argsort(score, kind="stable")
    ties = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    sorted_weights = weights[:, order].astype(np.float64)
    positive = np.add.reduceat(sorted_weights * has[order], ties, axis=1)
    negative = np.add.reduceat(sorted_weights * ~has[order], ties, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1)))
