"""What seeds add to the uncertainty of a mean over runs."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What runs of one variant, which differ by chance, add to the variance of their mean."""

    variance: float
    freedom: float  # infinite where there is nothing to add

    def joined(self, variance: float, freedom: float) -> float:
        """Return the degrees of freedom of its sum with another variance (Satterthwaite, 1946)."""
        if self.variance == 0:
            return freedom
        parts = variance**2 / freedom + self.variance**2 / self.freedom
        return (variance + self.variance) ** 2 / parts


NO_SPREAD = Spread(0.0, math.inf)
