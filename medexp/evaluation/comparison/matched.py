"""Two shares of the same images: who was right where the other was wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr


@dataclass(frozen=True)
class Discordant:
    """How often only one of two was right.

    Args:
        only_a: images that A alone had right.
        only_b: images that B alone had right.
        images: all of them.
    """

    only_a: int
    only_b: int
    images: int

    @property
    def p_value(self) -> float:
        """McNemar's test, exact and two-sided (Psychometrika 12:153, 1947): of binomial(only_a + only_b, 1/2)."""
        few, all_of_them = min(self.only_a, self.only_b), self.only_a + self.only_b
        return float(min(1.0, 2 * bdtr(few, all_of_them, 0.5)))

    @property
    def least_error(self) -> float:
        """The standard error of the difference of the shares, with one more image that only one has right."""
        return math.sqrt((self.only_a + self.only_b + 1) / (self.images + 2) / self.images)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval of the difference of the shares, A - B, by Tango's score (Stat Med 17:891, 1998).

        It has a width where nobody disagrees, too: of 20 images that both have right, three may differ next time.
        """
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        value = (self.only_a - self.only_b) / self.images
        low = -1.0 if self.only_b == self.images else self._where(z, -1.0, value)
        high = 1.0 if self.only_a == self.images else self._where(-z, value, 1.0)
        return low, high

    def _where(self, z: float, low: float, high: float) -> float:
        """The difference at which the score is `z`; it falls as the difference rises."""
        inside = 1e-10
        a, b = max(low, -1 + inside), min(high, 1 - inside)
        if a >= b:
            return high if z < 0 else low

        def excess(difference: float) -> float:
            return self._score(difference) - z

        if excess(a) * excess(b) > 0:  # the score has no such value: the end of the range
            return low if z > 0 else high
        return float(brentq(excess, a, b, xtol=1e-10))

    def _score(self, difference: float) -> float:
        n, b, c = self.images, self.only_a, self.only_b
        if difference == (b - c) / n:
            return 0.0
        linear = -b - c + (2 * n - b + c) * difference
        constant = -c * difference * (1 - difference)
        share = (math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        return (b - c - n * difference) / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, b - c)


def discordant(right_a: np.ndarray, right_b: np.ndarray) -> Discordant:
    """Count, of bool arrays (n,) that say where each was right."""
    return Discordant(int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()), len(right_a))
