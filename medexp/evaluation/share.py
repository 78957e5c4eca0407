"""How many of how many, and what that says: for shares that a bootstrap has no interval of, such as 30 of 30."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from medexp.evaluation.proportions import wilson
from medexp.types import Estimate


@dataclass(frozen=True)
class Share:
    """A share of images, and how many independent ones it is worth.

    Args:
        value: 0 to 1; NaN of no images.
        size: images; fewer where those of one patient agree with each other.
        units: patients; None where each image stands alone.
    """

    value: float
    size: float
    units: int | None = None

    @classmethod
    def of(cls, hits: np.ndarray, groups: Sequence[object] | np.ndarray | None = None) -> Share:
        """Count hits, 0 or 1, (n,).

        With groups (n), such as patients, the size is that of a simple sample with the same variance (Rao and Scott,
        Biometrics 48:577, 1992), at most that of images. Where all images are hits, or none, it is the number of
        groups.
        """
        images = len(hits)
        if not images:
            return cls(float("nan"), 0.0)
        share = float(np.mean(hits))
        if groups is None:
            return cls(share, float(images))
        member = np.unique(np.asarray(groups), return_inverse=True)[1]
        units = int(member.max()) + 1
        if units == images:
            return cls(share, float(images))
        excess = np.bincount(member, weights=hits - share)
        variance = float((excess**2).sum()) * units / max(units - 1, 1) / images**2
        alone = share * (1 - share)
        size = alone / variance if alone > 0 and variance > 0 else float(units)
        return cls(share, min(size, float(images)), units)

    def estimate(self, *, confidence: float, optimism: float = 0.0) -> Estimate:
        """Return the share with its score interval (Wilson, J Am Stat Assoc 22:209, 1927).

        Args:
            confidence: of the interval, such as 0.95.
            optimism: by how much the share is expected to be too high; the interval is about what is left of it.
        """
        if not self.size:
            return Estimate(self.value, self.value, self.value)
        found = wilson(min(max(self.value - optimism, 0.0), 1.0), self.size, z=self._deviations(confidence))
        return Estimate(self.value, min(found.low, self.value), max(found.high, self.value))

    def draws(self, count: int, *, rng: np.random.Generator) -> np.ndarray:
        """Return shares (count,) that may be behind this one: of its posterior with Jeffreys' prior."""
        hits = self.value * self.size
        return rng.beta(hits + 0.5, self.size - hits + 0.5, count)

    def _deviations(self, confidence: float) -> float:
        """Normal, or Student's of few patients (Korn and Graubard, Surv Methodol 24:193, 1998)."""
        if self.units is None:
            return NormalDist().inv_cdf((1 + confidence) / 2)
        from scipy.stats import t

        return float(t.ppf((1 + confidence) / 2, max(self.units - 1, 1)))
