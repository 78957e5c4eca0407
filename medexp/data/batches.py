"""Batches whose order depends on (seed, epoch) only, gathered by index from prepared images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from medexp.data.ahead import ReadAhead
from medexp.data.dataset import Pixels
from medexp.imaging.scale import scale

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Epoch:
    """An epoch in progress: its number, its order, how many batches are left out, and what reads the others."""

    number: int
    order: np.ndarray
    skip: int
    ahead: ReadAhead[Batch] | None = None


class Batches(keras.utils.PyDataset):
    """Batches of (images, targets), the last one possibly shorter.

    Images are `uint8` as they are stored, or `float32` from 0 to 255 where they are stored with 16 bits. To Keras
    there is one worker: batches are read ahead here, so that no thread of Keras' can mix epochs up.

    Args:
        pixels: the images.
        rows: indices of the images in `pixels`, (n,).
        targets: `float32`, shape (n, outputs).
        batch_size: images per batch.
        shuffle_seed: None keeps the order; a number shuffles anew each epoch.
        limit: at most this many batches in an epoch; None for all.
        probabilities: of each image, (n,), to be drawn, again and again, n times in an epoch; None takes each once.
            Needs a seed.
        workers: threads that read batches ahead; 1 reads a batch when it is asked for.
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
        probabilities: np.ndarray | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__()
        assert probabilities is None or shuffle_seed is not None, "what is drawn needs a seed"
        self._pixels, self._rows, self._targets = pixels, rows, targets
        self._batch_size, self._seed, self._limit = batch_size, shuffle_seed, limit
        self._probabilities = probabilities
        self._readers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batches") if workers > 1 else None
        self._epoch = _Epoch(0, self._order(0), 0)
        self.start_epoch(0)

    def __len__(self) -> int:
        return self._length - self._epoch.skip

    def __getitem__(self, index: int) -> Batch:
        epoch = self._epoch
        return self._read(epoch.order, epoch.skip + index) if epoch.ahead is None else epoch.ahead[epoch.skip + index]

    @property
    def epoch(self) -> int:
        """Whose order it is, from 0."""
        return self._epoch.number

    def start_epoch(self, epoch: int, *, skip: int = 0) -> None:
        """Take the order of `epoch`, from 0, whatever was read before: the trainer calls it.

        Args:
            epoch: its number.
            skip: batches at its beginning to leave out: batch 0 is then that many further on, and the length smaller.

        Raises:
            ValueError: more are left out than there are.
        """
        if not 0 <= skip <= self._length:
            raise ValueError(f"an epoch has {self._length} batches, {skip} cannot be left out")
        if self._epoch.ahead is not None:
            self._epoch.ahead.close()
        order, ahead = self._order(epoch), None
        if self._pool is not None:
            read = partial(self._read, order)
            ahead = ReadAhead(read, length=self._length, pool=self._pool, depth=2 * self._readers)
        self._epoch = _Epoch(epoch, order, skip, ahead)  # at once: another thread may be reading

    @property
    def _length(self) -> int:
        every = -(-len(self._rows) // self._batch_size)
        return every if self._limit is None else min(self._limit, every)

    def _read(self, order: np.ndarray, index: int) -> Batch:
        rows = order[index * self._batch_size : (index + 1) * self._batch_size]
        return scale(self._pixels.take(self._rows[rows])), self._targets[rows]

    def _order(self, epoch: int) -> np.ndarray:
        n = len(self._rows)
        if self._seed is None:
            return np.arange(n)
        rng = np.random.default_rng([self._seed, epoch])
        if self._probabilities is None:
            return rng.permutation(n)
        return rng.choice(n, size=n, p=self._probabilities)
