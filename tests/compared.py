"""Variants that are compared: scores drawn with a known truth, as `Predictions`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medexp.evaluation.comparison.variant import Repetition, Variant
from medexp.evaluation.predictions import Predictions

THRESHOLDS = {"positive": 0.5}


class Bench:
    """Test images of which some are hard for everybody, and any number of models that see them.

    Args:
        seed: of all that is drawn.
        images: how many.
        groups: of as many patients, whose images resemble each other; None: each image stands alone.
    """

    def __init__(self, seed: int, *, images: int = 200, groups: int | None = None) -> None:
        self._rng = np.random.default_rng(seed)
        self.labels = (self._rng.random(images) < 0.4).astype(int)
        self.labels[:2] = 0, 1
        self.hardness = self._rng.normal(size=images)
        self.keys = tuple(f"image {i}" for i in range(images))
        self._of = None if groups is None else np.arange(images) % groups
        if self._of is not None:
            self.hardness = 0.5 * self.hardness + self._rng.normal(size=groups)[self._of]

    @property
    def groups(self) -> tuple[str, ...] | None:
        return None if self._of is None else tuple(f"patient {i}" for i in self._of)

    def model(self, *, noise: float = 1.0, scale: float = 1.5) -> Predictions:
        """One whose scores are further from the truth the more noise it has."""
        own = self._rng.normal(size=len(self.labels))
        if self._of is not None:
            own = 0.6 * own + 0.8 * self._rng.normal(size=self._of.max() + 1)[self._of]
        scores = 1 / (1 + np.exp(-(scale * (2 * self.labels - 1) + self.hardness + noise * own)))
        return self.of_scores(scores)

    def of_scores(self, scores: np.ndarray) -> Predictions:
        probabilities = np.stack([1 - scores, scores], axis=1)
        return Predictions(
            "test", self.keys, self.labels, probabilities, ("negative", "positive"), "binary", self.groups
        )

    def variant(self, name: str, *, runs: int = 1, noise: float = 1.0, chosen: bool = False) -> Variant:
        repetitions = (Repetition(f"{name}-{i}", self.model(noise=noise), THRESHOLDS, seed=str(i)) for i in range(runs))
        return Variant(name, tuple(repetitions), chosen=chosen)


def only_right(right: Sequence[bool], labels: np.ndarray) -> np.ndarray:
    """Scores that are right of these images, at a threshold of 0.5, and wrong of the others."""
    return np.where(np.asarray(right), labels, 1 - labels) * 0.8 + 0.1
