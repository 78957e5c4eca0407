"""The trainer: when things happen, around Keras' own `fit`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import keras

from medexp.errors import ConfigError, TrainingError
from medexp.training.augmented import AugmentedModel, WithTargets
from medexp.training.callbacks import EpochOrder, EpochReport, OnEpoch
from medexp.training.reseed import Reseed
from medexp.types import DataSpec, FitResult, Objective

logger = logging.getLogger(__name__)
BEST_WEIGHTS = "best.weights.h5"


class Module(Protocol):
    """What is learned."""

    def build(self, spec: DataSpec) -> keras.Model:
        """The untrained network."""

    def compile_args(
        self,
        spec: DataSpec,
        network: keras.Model,
        *,
        total_steps: int,
        steps_per_epoch: int,
        learning_rate: float | None = None,
    ) -> dict[str, Any]:
        """New loss, optimizer and metrics."""


class Data(Protocol):
    """What it is learned from."""

    @property
    def spec(self) -> DataSpec:
        """The facts of the data."""

    def train(self, steps: int | None) -> keras.utils.PyDataset:
        """Training batches: all, or at most `steps` of each epoch."""

    def val(self) -> keras.utils.PyDataset:
        """Validation batches."""


class Trainer:
    """Fits a module to data, keeps the best weights, and reports each epoch.

    Args:
        max_epochs: at most this many; callbacks may stop earlier.
        precision: Keras' dtype policy; set before the network is built.
        jit_compile: compile with XLA.
        steps_per_epoch: None for all images, or that many batches.

    Raises:
        ConfigError: less than one epoch or step.
    """

    def __init__(
        self,
        *,
        max_epochs: int,
        precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32",
        jit_compile: bool = False,
        steps_per_epoch: int | None = None,
    ) -> None:
        for name, value in (("max_epochs", max_epochs), ("steps_per_epoch", steps_per_epoch)):
            if value is not None and value < 1:
                raise ConfigError(f"trainer.{name}: should be 1 or more. Received: {value}.")
        self.precision = precision
        self._max_epochs = max_epochs
        self._jit_compile = jit_compile
        self._steps = steps_per_epoch

    def fit(
        self,
        module: Module,
        data: Data,
        *,
        objective: Objective,
        augmentation: Sequence[keras.layers.Layer],
        callbacks: Sequence[keras.callbacks.Callback],
        folder: Path,
        on_epoch: OnEpoch,
        seed: int,
    ) -> FitResult:
        """Train, and return how it went and where the best weights are.

        The augmentation is part of the model that is fitted, not of the network whose weights are saved.

        Args:
            module: builds and compiles the network.
            data: training and validation batches.
            objective: selects the best epoch.
            augmentation: layers between the images and the network, active while training; see `AugmentedModel`.
            callbacks: Keras callbacks.
            folder: receives `best.weights.h5`, of the network alone.
            on_epoch: called after each epoch with its number (from 1) and metrics.
            seed: of augmentation and dropout, which depend on it, the epoch and the step alone.

        Raises:
            TrainingError: no epoch gave a finite objective, the loss is not a number, an unknown monitor.
        """
        batches = data.train(self._steps)
        steps = len(batches)
        network = module.build(data.spec)
        augmentation = tuple(augmentation)
        model = AugmentedModel(network, augmentation, compiled=self._jit_compile) if augmentation else network
        recipe = module.compile_args(data.spec, network, total_steps=steps * self._max_epochs, steps_per_epoch=steps)
        model.compile(**recipe, jit_compile=self._jit_compile)
        logger.info("training %s, %s parameters, %d steps an epoch", network.name, f"{network.count_params():,}", steps)

        folder.mkdir(parents=True, exist_ok=True)
        monitors = [m for c in callbacks if isinstance(m := getattr(c, "monitor", None), str)]
        report = EpochReport(epochs=self._max_epochs, objective=objective, monitors=monitors, on_epoch=on_epoch)
        best = BestWeights(network, folder / BEST_WEIGHTS, objective)
        reseed = Reseed(seed=seed, augmentation=augmentation, network=network)
        start = time.perf_counter()
        model.fit(
            WithTargets(batches) if augmentation else batches,
            validation_data=data.val(),
            epochs=self._max_epochs,
            shuffle=False,  # Keras would shuffle the batches by Python's global random numbers
            callbacks=[EpochOrder(batches), reseed, report, best, *callbacks],
            verbose=0,
        )
        seconds = time.perf_counter() - start
        if best.epoch is None:
            raise TrainingError(
                f"No epoch gave a finite {objective.metric}. Received: trainer.max_epochs={self._max_epochs}. "
                "Train longer, or choose another objective.metric"
            )
        return FitResult(tuple(report.history), best.epoch, best.path, seconds)


class BestWeights(keras.callbacks.Callback):
    """Saves the weights of `network` whenever the objective is better than ever before; ties keep the earlier.

    Keras' ModelCheckpoint would save the fitted model, augmentation layers and optimizer included.
    """

    def __init__(self, network: keras.Model, path: Path, objective: Objective) -> None:
        super().__init__()
        self.path = path
        self.epoch: int | None = None
        self._network = network
        self._objective = objective
        self._value = float("nan")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare and save."""
        value = float((logs or {})[self._objective.metric])
        if math.isfinite(value) and (self.epoch is None or self._objective.better(value, self._value)):
            self._network.save_weights(self.path)
            self.epoch, self._value = epoch + 1, value
