"""Batches that several devices can share evenly."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from medexp.errors import ConfigError


class Even(keras.utils.PyDataset):
    """Batches whose images can be dealt to so many devices.

    In training each device gets equally many, so that the mean over all is the mean of theirs: what is left over at the
    end of an epoch, fewer images than there are devices, is left out of it. The next epoch leaves out others. In
    validation every image counts; a last batch with fewer images than devices joins the one before.

    Args:
        batches: of (images, targets).
        devices: how many.
        training: whether they are trained on.

    Raises:
        ConfigError: a batch cannot be dealt evenly, or there are fewer images than devices.
    """

    def __init__(self, batches: keras.utils.PyDataset, devices: int, *, training: bool) -> None:
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self._batches, self._devices, self._training = batches, devices, training
        first, last = (len(batches[index][1]) for index in (0, len(batches) - 1))
        if training and len(batches) > 1 and first % devices:
            raise ConfigError(
                f"trainer.devices: a batch is dealt evenly to {devices} devices. Received: data.batch_size={first}. "
                f"Override: data.batch_size={max(1, first // devices) * devices}"
            )
        self._few = last < devices
        if self._few and len(batches) == 1:
            raise ConfigError(
                f"trainer.devices: there are fewer images than devices. Received: {last} images, {devices} devices. "
                f"Override: trainer.devices={last}"
            )

    def __len__(self) -> int:
        return len(self._batches) - self._few

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        images, targets = self._batches[index]
        if self._training:
            even = len(targets) // self._devices * self._devices
            return images[:even], targets[:even]
        if self._few and index == len(self) - 1:
            more = self._batches[index + 1]
            return np.concatenate([images, more[0]]), np.concatenate([targets, more[1]])
        return images, targets

    def start_epoch(self, epoch: int, *, skip: int = 0) -> None:
        """Take the order of `epoch`, from 0, without its first `skip` batches."""
        self._batches.start_epoch(epoch, skip=skip)

    def on_epoch_begin(self) -> None:
        """Hand it on."""
        self._batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Hand it on."""
        self._batches.on_epoch_end()
