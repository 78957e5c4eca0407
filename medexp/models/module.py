"""The module: the recipe of what is learned. When it is learned is the trainer's business."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from medexp.errors import ConfigError
from medexp.types import DataSpec

Network = Callable[[DataSpec], keras.Model]
Schedule = Callable[..., Any]
THRESHOLDS = [1 / (1 + math.exp(-16 + 32 * i / 399)) for i in range(399, -1, -1)]


class ClassifierModule:
    """Builds a network for a data set, and says how to compile it.

    Args:
        network: a function from DataSpec to keras.Model.
        optimizer: a partial of a Keras optimizer that holds `learning_rate`, the peak.
        schedule: a function from (learning_rate, total_steps) to a Keras learning-rate schedule.

    Raises:
        ConfigError: the learning rate is not positive.
    """

    def __init__(self, *, network: Network, optimizer: partial[keras.Optimizer], schedule: Schedule) -> None:
        peak = optimizer.keywords["learning_rate"]
        if not peak > 0:
            raise ConfigError(f"optimizer.learning_rate: should be larger than 0. Received: {peak}.")
        self._network = network
        self._optimizer = optimizer
        self._schedule = schedule

    def build(self, spec: DataSpec) -> keras.Model:
        """Return the untrained network for `spec`."""
        return self._network(spec)

    def compile_args(self, spec: DataSpec, total_steps: int) -> dict[str, Any]:
        """Return new loss, optimizer and metrics (`accuracy`, `auc`) for `keras.Model.compile`.

        `auc` is the area under the ROC curve, of the positive class or the mean over classes, one against rest, on
        thresholds evenly spaced in logits: evenly spaced in probability, as Keras has them, it is wrong for a sure
        network or a rare finding, whose scores all fall between two of them.
        """
        rate = self._schedule(learning_rate=self._optimizer.keywords["learning_rate"], total_steps=total_steps)
        metrics: list[keras.Metric]
        if spec.task == "binary":
            loss = keras.losses.BinaryCrossentropy()
            metrics = [
                keras.metrics.BinaryAccuracy(name="accuracy"),
                keras.metrics.AUC(thresholds=THRESHOLDS, name="auc"),
            ]
        else:
            loss = keras.losses.CategoricalCrossentropy()
            auc = keras.metrics.AUC(thresholds=THRESHOLDS, multi_label=True, num_labels=spec.outputs, name="auc")
            metrics = [keras.metrics.CategoricalAccuracy(name="accuracy"), auc]
        return {"loss": loss, "optimizer": self._optimizer(learning_rate=rate), "metrics": metrics}
