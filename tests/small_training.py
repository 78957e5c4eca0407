"""A training of a second or two, to be interrupted, repeated and looked into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from pixels import ArrayPixels

from medexp.data.batches import Batches
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training import session
from medexp.training.duration import Duration
from medexp.training.phase import Phase
from medexp.training.schedules import constant
from medexp.training.trainer import Trainer
from medexp.types import DataSpec, FitResult, InputSpec, Objective

INPUT = InputSpec(height=8, width=8, channels=1)
LABELS = np.arange(44) % 2
IMAGES = np.random.default_rng(0).integers(0, 128, (44, *INPUT.shape), dtype=np.uint8)
IMAGES[LABELS == 1, 2:6, 2:6] += 30
TARGETS = LABELS[:, np.newaxis].astype(np.float32)
STEPS = 6  # of an epoch


class Data:
    """Two classes in memory; the last batch is a shorter one."""

    spec = DataSpec("d", "binary", ("dark", "bright"), INPUT, {}, "", "")

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def train(self, steps: int | None = None) -> Batches:
        return self._batches(shuffle_seed=3, limit=steps)

    def val(self) -> Batches:
        return self._batches()

    def _batches(self, **options: Any) -> Batches:
        pixels = ArrayPixels(IMAGES)
        return Batches(pixels, np.arange(44), TARGETS, batch_size=8, workers=self._workers, **options)


def sgd() -> Callable[..., keras.Optimizer]:
    return partial(keras.optimizers.SGD, learning_rate=0.05, momentum=0.9)


def module(optimizer: Callable[..., keras.Optimizer] | None = None) -> ClassifierModule:
    return ClassifierModule(
        network=partial(simple_cnn, filters=[4], dropout=0.2),
        loss=cross_entropy,
        optimizer=optimizer or sgd(),
        schedule=constant,
    )


def one_phase(epochs: int, *callbacks: keras.callbacks.Callback) -> list[Phase]:
    return [Phase("all", Duration(epochs, "epoch"), callbacks=callbacks)]


def fit(
    folder: Path,
    phases: Sequence[Phase],
    *,
    optimizer: Callable[..., keras.Optimizer] | None = None,
    metric: str = "val_loss",
    augmentation: Sequence[keras.layers.Layer] = (),
    workers: int = 1,
    resume: bool = False,
    **trainer: Any,
) -> FitResult:
    session.reset(seed=0, precision="float32")
    return Trainer(**{"max_epochs": 4, "checkpoint_every": "1 epoch", **trainer}).fit(
        module(optimizer),
        Data(workers),
        phases=phases,
        objective=Objective(metric, "min"),
        augmentation=augmentation,
        folder=folder,
        on_epoch=lambda epoch, metrics: None,
        seed=0,
        resume=resume,
    )


def history(result: FitResult) -> list[dict[str, float]]:
    """All but the time it took."""
    return [{name: value for name, value in row.items() if name != "epoch_seconds"} for row in result.history]


def weights(result: FitResult) -> dict[str, bytes]:
    """The bits of the best weights, by name."""
    found: dict[str, bytes] = {}
    with h5py.File(result.best_weights) as file:
        file.visititems(
            lambda name, item: found.update({name: np.asarray(item).tobytes()}) if hasattr(item, "shape") else None
        )
    return found


class Interrupted(Exception):
    """As a kill, but within the process."""


class At(keras.callbacks.Callback):
    """Does something at one moment of one epoch (from 0), once; keeps no state."""

    def __init__(self, moment: str, epoch: int, then: Callable[[], None], *, batch: int = 0) -> None:
        super().__init__()
        self._moment, self._wanted, self._batch, self._then = moment, epoch, batch, then
        self._epoch = 0

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        assert state == {}

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._epoch = epoch
        self._come("epoch begin")

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self._come("step", batch)

    def on_test_begin(self, logs: object = None) -> None:
        self._come("validation")

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self._come("epoch end")

    def on_train_end(self, logs: object = None) -> None:
        self._come("end")

    def _come(self, moment: str, batch: int = 0) -> None:
        if (moment, self._epoch, batch) == (self._moment, self._wanted, self._batch):
            self._moment = "never again"
            self._then()


def interrupt() -> None:
    raise Interrupted
