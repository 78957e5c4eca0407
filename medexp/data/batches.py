"""Batches whose order depends on (seed, epoch) only, gathered by index from prepared images."""

from __future__ import annotations

import keras
import numpy as np

from medexp.data.dataset import Pixels
from medexp.imaging.scale import scale


class Batches(keras.utils.PyDataset):
    """Batches of (images, targets), the last one possibly shorter.

    Images are `uint8` as they are stored, or `float32` from 0 to 255 where they are stored with 16 bits.

    Args:
        pixels: the images.
        rows: indices of the images in `pixels`, (n,).
        targets: `float32`, shape (n, outputs).
        batch_size: images per batch.
        shuffle_seed: None keeps the order; a number shuffles anew each epoch.
        limit: at most this many batches in an epoch; None for all.
    """

    def __init__(
        self,
        pixels: Pixels,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        batch_size: int,
        shuffle_seed: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        self._pixels, self._rows, self._targets = pixels, rows, targets
        self._batch_size, self._seed, self._limit = batch_size, shuffle_seed, limit
        self._epoch = 0
        self._skip = 0
        self._order = self._shuffled()

    def __len__(self) -> int:
        every = -(-len(self._rows) // self._batch_size)
        return (every if self._limit is None else min(self._limit, every)) - self._skip

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        index += self._skip
        order = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return scale(self._pixels.take(self._rows[order])), self._targets[order]

    @property
    def epoch(self) -> int:
        """Whose order it is, from 0."""
        return self._epoch

    def start_epoch(self, epoch: int, *, skip: int = 0) -> None:
        """Take the order of `epoch`, from 0, whatever was read before: the trainer calls it.

        Without its first `skip` batches, where a training goes on in the middle of an epoch: the batches that are left
        count from 0.
        """
        self._epoch = epoch
        self._skip = skip
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        if self._seed is None:
            return np.arange(len(self._rows))
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self._rows))
