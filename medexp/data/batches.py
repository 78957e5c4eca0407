"""Arrays in memory, as batches whose order depends on (seed, epoch) only."""

from __future__ import annotations

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Batches of (images, targets), the last one possibly shorter.

    Args:
        images: `uint8`, shape (n, height, width, channels).
        targets: `float32`, shape (n, outputs).
        batch_size: images per batch.
        shuffle_seed: None keeps the order; a number shuffles anew each epoch.
        limit: at most this many batches in an epoch; None for all.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        *,
        batch_size: int,
        shuffle_seed: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        self._images, self._targets = images, targets
        self._batch_size, self._seed, self._limit = batch_size, shuffle_seed, limit
        self._epoch = 0
        self._order = self._shuffled()

    def __len__(self) -> int:
        every = -(-len(self._images) // self._batch_size)
        return every if self._limit is None else min(self._limit, every)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._images[rows], self._targets[rows]

    def on_epoch_end(self) -> None:
        """Keras calls this after each epoch: shuffle for the next."""
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        if self._seed is None:
            return np.arange(len(self._images))
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self._images))
