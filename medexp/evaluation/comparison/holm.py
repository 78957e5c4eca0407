"""P values of several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for all being looked at (Holm, Scand J Statist 6:65, 1979), in the order given.

    Rejecting those below alpha makes a false claim anywhere with a probability of at most alpha, whatever depends on
    whatever, and whichever comparison one looks at because it came out best.
    """
    found = np.asarray(p_values, np.float64)
    order = np.argsort(found, kind="stable")
    factors = len(found) - np.arange(len(found))
    adjusted = np.empty_like(found)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(found[order] * factors))
    return tuple(adjusted.tolist())
