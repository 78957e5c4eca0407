"""An interval that no share is too near to 0 or 1 for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medexp.evaluation.proportion import Proportion
from medexp.types import Estimate


def clopper_pearson(
    hits: np.ndarray, *, confidence: float, groups: Sequence[object] | np.ndarray | None = None
) -> Estimate:
    """Return the share of `hits` with its exact binomial interval (Clopper and Pearson, Biometrika 26:404, 1934).

    Args:
        hits: 0 or 1, (n,); of none the share is NaN.
        confidence: of the interval, such as 0.95.
        groups: the patient of each, (n,): images that agree within a patient count as fewer (`Proportion`), as in Korn
            and Graubard (Survey Methodology 24:193, 1998).
    """
    from scipy.stats import beta

    found = Proportion.of(hits, groups)
    if not found.size:
        return Estimate(found.share, found.share, found.share)
    right, wrong, tail = found.share * found.size, (1 - found.share) * found.size, (1 - confidence) / 2
    low = float(beta.ppf(tail, right, wrong + 1)) if right > 0 else 0.0
    high = float(beta.isf(tail, right + 1, wrong)) if wrong > 0 else 1.0
    return Estimate(found.share, low, high)
