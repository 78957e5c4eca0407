"""An interval that no share is too near to 0 or 1 for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medexp.types import Estimate


def clopper_pearson(
    hits: np.ndarray, *, confidence: float, groups: Sequence[object] | np.ndarray | None = None
) -> Estimate:
    """Return the share of `hits` with its exact binomial interval (Clopper and Pearson, Biometrika 26:404, 1934).

    Args:
        hits: 0 or 1, (n,); of none the share is NaN.
        confidence: of the interval, such as 0.95.
        groups: the patient of each, (n,): the interval is that of `worth` images (Korn and Graubard, Surv Methodol
            24:193, 1998).
    """
    from scipy.stats import beta

    share, size = float(np.mean(hits)) if len(hits) else float("nan"), worth(hits, groups=groups)
    if not size:
        return Estimate(share, share, share)
    right, wrong, tail = share * size, (1 - share) * size, (1 - confidence) / 2
    low = float(beta.ppf(tail, right, wrong + 1)) if right > 0 else 0.0
    high = float(beta.isf(tail, right + 1, wrong)) if wrong > 0 else 1.0
    return Estimate(share, low, high)


def worth(hits: np.ndarray, *, groups: Sequence[object] | np.ndarray | None) -> float:
    """Return how many independent images would tell the share of `hits`, 0 or 1, (n,), as exactly.

    Without groups all do. With groups, such as patients, as many as have the variance that is seen between groups, but
    no more than there are images; where all images are hits, or none, none is seen, and each group counts as one.
    """
    images = len(hits)
    if groups is None or not images:
        return float(images)
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(member.max()) + 1
    share = float(np.mean(hits))
    if count == 1 or share in (0.0, 1.0):
        return float(count)
    excess = np.bincount(member, weights=hits - share)
    variance = float((excess**2).sum()) * count / (count - 1) / images**2
    return min(share * (1 - share) / variance, float(images)) if variance > 0 else float(images)
