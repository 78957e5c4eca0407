"""How alike two sets of maps are."""

from __future__ import annotations

import numpy as np
from scipy import stats


def rank_correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each map of `a` with that of `b`, (n,), -1 to 1.

    A map that is the same everywhere, or holds what is no number, is like no other: 0.

    Args:
        a: maps (n, rows, columns).
        b: likewise.
    """
    first, second = _centred_ranks(a), _centred_ranks(b)
    spread = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray((first * second).sum(axis=1) / np.where(spread > 0, spread, 1))


def _centred_ranks(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    broken = ~np.isfinite(flat).all(axis=1)
    flat[broken] = 0
    ranks = stats.rankdata(flat, axis=1)
    return np.asarray(ranks - ranks.mean(axis=1, keepdims=True))
