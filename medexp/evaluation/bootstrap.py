"""Resample the images, or the patients, of a split: the bootstrap as weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medexp.evaluation.predictions import Predictions

_BLOCK = 2**20  # weights that one block holds at most: small enough for a processor's cache


def resampling_weights(
    labels: np.ndarray, groups: Sequence[str] | None, *, resamples: int, seed: int, stratify: bool
) -> Iterator[np.ndarray]:
    """Yield how often each image was drawn, in blocks of bootstrap samples (Efron, Ann Stat 7:1, 1979).

    The same labels, groups and seed give the same weights: that is what makes a comparison of two models paired.

    Args:
        labels: class indices (n,); multi-label: (n, classes).
        groups: the patient ... of each image, n: whole groups are drawn, so that images of one patient stay together
            (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). None: images are.
        resamples: how many samples in all.
        seed: of the drawing.
        stratify: draw within each class, whose count so stays the same. No effect on groups, whose images may be of
            several classes, and on multi-label images, which have several.

    Yields:
        `int32` of shape (block, n).
    """
    plan = _Plan.of(labels, groups, stratify=stratify)
    rows = rows_of_block(len(labels))
    for number, start in enumerate(range(0, resamples, rows)):
        yield plan.draw(min(rows, resamples - start), seed=seed, block=number)


def rows_of_block(images: int) -> int:
    """Return how many bootstrap samples a block of `resampling_weights` holds."""
    return max(1, _BLOCK // max(images, 1))


class Bootstrap:
    """The bootstrap samples of one split's predictions: by group where there are groups, else within each class."""

    def __init__(self, predictions: Predictions, *, resamples: int, seed: int = 0) -> None:
        self._plan = _Plan.of(predictions.labels, predictions.groups, stratify=True)
        self._resamples = resamples
        self._seed = seed
        self._rows = rows_of_block(len(predictions.keys))

    @property
    def unit(self) -> Literal["group", "image"]:
        """What is drawn."""
        return "group" if self._plan.grouped else "image"

    @property
    def units(self) -> int:
        """How many there are to draw from."""
        return sum(self._plan.strata)

    def __len__(self) -> int:
        """Return the number of blocks."""
        return -(-self._resamples // self._rows)

    def block(self, number: int) -> np.ndarray:
        """Return weights, `int32` (samples, n); each block is drawn by itself, so that threads may share the work."""
        rows = min(self._rows, self._resamples - number * self._rows)
        return self._plan.draw(rows, seed=self._seed, block=number)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield all blocks, as `resampling_weights` does."""
        return (self.block(number) for number in range(len(self)))


@dataclass(frozen=True)
class _Plan:
    """What is drawn from what.

    Args:
        strata: how many units replace each other, stratum by stratum.
        position: for each image, the unit that it is or belongs to, (n,); units are counted stratum by stratum.
        grouped: whether units are groups.
    """

    strata: tuple[int, ...]
    position: np.ndarray
    grouped: bool

    @classmethod
    def of(cls, labels: np.ndarray, groups: Sequence[str] | None, *, stratify: bool) -> _Plan:
        if groups is not None:
            names, member = np.unique(np.asarray(groups), return_inverse=True)
            return cls((len(names),), member, grouped=True)
        position = np.arange(len(labels))
        if not stratify or labels.ndim > 1:
            return cls((len(labels),), position, grouped=False)
        order = np.argsort(labels, kind="stable")
        position[order] = np.arange(len(labels))
        return cls(tuple(np.unique(labels, return_counts=True)[1].tolist()), position, grouped=False)

    def draw(self, samples: int, *, seed: int, block: int) -> np.ndarray:
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(block,))))
        counts = np.empty((samples, sum(self.strata)), np.int32)
        for row in counts:
            start = 0
            for units in self.strata:
                row[start : start + units] = np.bincount(rng.integers(0, units, units), minlength=units)
                start += units
        return counts.take(self.position, axis=1, mode="clip")
