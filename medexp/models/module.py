"""The module: the recipe of what is learned. When it is learned is the trainer's business."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import keras

from medexp.errors import ConfigError
from medexp.models.layer_decay import LayerDecay, with_layer_decay
from medexp.models.layer_depth import layer_depths
from medexp.models.metrics import MeanAUC, binary_accuracy, grade_accuracy
from medexp.models.weight_decay import decays
from medexp.types import DataSpec, Task

Network = Callable[[DataSpec], keras.Model]
Loss = Callable[[DataSpec], keras.losses.Loss]
Schedule = Callable[..., Any]


class ClassifierModule:
    """Builds a network for a data set, and says how to compile it.

    Args:
        network: a function from DataSpec to keras.Model.
        loss: a function from DataSpec to a Keras loss.
        optimizer: a partial of a Keras optimizer that holds `learning_rate`, the peak.
        schedule: a function from (learning_rate, total_steps, steps_per_epoch) to a Keras learning-rate schedule, or to
            a number.
        layer_decay: the learning rate of a layer as a share of that of the next towards the output, with the head at
            1 (Bao et al., BEiT, 2021); layers are counted as `layer_depths` says. None for 1.

    Raises:
        ConfigError: the learning rate is not positive, the share is not above 0 and up to 1, or the optimizer or the
            schedule refuses its values.
    """

    def __init__(
        self,
        *,
        network: Network,
        loss: Loss,
        optimizer: partial[keras.Optimizer],
        schedule: Schedule,
        layer_decay: float | None = None,
    ) -> None:
        peak = optimizer.keywords["learning_rate"]
        if not peak > 0:
            raise ConfigError(f"optimizer.learning_rate: should be larger than 0. Received: {peak}.")
        if layer_decay is not None and not 0 < layer_decay <= 1:
            raise ConfigError(
                f"finetuning.layer_decay: should be more than 0, up to 1. Received: {layer_decay}. "
                "Override: finetuning.layer_decay=0.8"
            )
        self._network = network
        self._loss = loss
        self._optimizer = optimizer
        self._schedule = schedule
        self._layer_decay = layer_decay
        schedule(learning_rate=float(peak), total_steps=10**9, steps_per_epoch=10**6)  # what it refuses, it refuses now
        self._new_optimizer(float(peak))

    def build(self, spec: DataSpec) -> keras.Model:
        """Return the untrained network for `spec`."""
        return self._network(spec)

    def freeze(
        self, network: keras.Model, *, train: str | float, batch_norm: Literal["train", "freeze"], phase: str
    ) -> int:
        """Decide which layers of the network learn, until the next call; return how many parameters do.

        Args:
            network: is changed; compile it afterwards.
            train: `all`, `head`, the name of the first layer that learns, or a share of the layers with weights.
            batch_norm: `freeze` keeps all statistics and scales of batch normalisation as they are.
            phase: its name, for the error.

        Raises:
            ConfigError: there is no such layer.
        """
        from medexp.models.freezing import freeze

        return freeze(network, train=train, batch_norm=batch_norm, key=f"finetuning.phases.{phase}.train")

    def compile_args(
        self,
        spec: DataSpec,
        network: keras.Model,
        *,
        total_steps: int,
        steps_per_epoch: int,
        learning_rate: float | None = None,
    ) -> dict[str, Any]:
        """Return new loss, optimizer and metrics (`accuracy`, `auc`) for `keras.Model.compile`.

        `auc` is the area under the ROC curve, of the positive class of a binary task; else the mean: over classes,
        each against the rest, or over the cut points between grades (MeanAUC). `accuracy` is the share of images
        with the right class or grade; for multi-label the share of right answers, an answer for each image and class.

        Args:
            spec: facts of the data.
            network: what is trained; which of its layers are is decided already.
            total_steps: batches of this phase of the training.
            steps_per_epoch: batches of an epoch.
            learning_rate: the peak; None for the optimizer's own.

        Raises:
            ConfigError: class weights that do not fit the classes, a warm-up that is longer than `total_steps`.
        """
        rate = self._schedule(
            learning_rate=float(learning_rate or self._optimizer.keywords["learning_rate"]),
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
        )
        optimizer = self._new_optimizer(rate)
        optimizer.exclude_from_weight_decay(var_list=[weight for weight in network.weights if not decays(weight)])
        if isinstance(optimizer, LayerDecay):
            share = self._layer_decay or 1.0
            optimizer.share_out((weight, share**depth) for weight, depth in layer_depths(network))
        metrics = [_accuracy(spec.task), MeanAUC(spec.outputs)]
        return {"loss": self._loss(spec), "optimizer": optimizer, "metrics": metrics}

    def _new_optimizer(self, rate: Any) -> keras.Optimizer:
        """Return the optimizer with a rate, a number or a schedule; it has no variables of the network's yet."""
        kind: Any = self._optimizer.func
        if self._layer_decay is not None:
            kind = with_layer_decay(kind)
        options = {**self._optimizer.keywords, "learning_rate": rate}
        try:
            return kind(*self._optimizer.args, **options)
        except (TypeError, ValueError) as error:
            both = options.get("clipnorm") is not None and options.get("global_clipnorm") is not None
            raise ConfigError(
                f"optimizer: {kind.__name__} refused its values: {error}. Received: {self._optimizer.keywords}."
                + (" Override: optimizer.clipnorm=null" if both else "")
            ) from error


def _accuracy(task: Task) -> keras.Metric:
    if task == "multiclass":
        return keras.metrics.CategoricalAccuracy(name="accuracy")
    of_image = grade_accuracy if task == "ordinal" else binary_accuracy
    return keras.metrics.MeanMetricWrapper(of_image, name="accuracy")
