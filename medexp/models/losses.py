"""What is minimised: functions from the facts of the data to a Keras loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import keras

from medexp.errors import ConfigError
from medexp.models.class_weights import output_weights
from medexp.models.task_loss import TaskLoss
from medexp.types import DataSpec


def cross_entropy(
    spec: DataSpec,
    *,
    label_smoothing: float = 0.0,
    class_weights: Literal["auto"] | Mapping[str, float] | None = None,
) -> keras.losses.Loss:
    """Return the cross-entropy of the task of `spec`.

    Categorical for many classes; binary for a finding, and for each label or cut point between grades, in the mean.

    Args:
        spec: facts of the data.
        label_smoothing: share of a target that is spread evenly over the classes (Szegedy et al., 2016), or over yes
            and no where an output is about one class or cut point.
        class_weights: see `output_weights`.

    Raises:
        ConfigError: a smoothing below 0, or of 1 and more; weights that do not fit the classes.
    """
    _check_smoothing(label_smoothing)
    weights = output_weights(spec, class_weights)
    if weights is not None or spec.task == "ordinal":
        return TaskLoss(spec.task, weights=weights, label_smoothing=label_smoothing, name="cross_entropy")
    kind = keras.losses.CategoricalCrossentropy if spec.task == "multiclass" else keras.losses.BinaryCrossentropy
    return kind(label_smoothing=label_smoothing)


def focal(
    spec: DataSpec,
    *,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
    class_weights: Literal["auto"] | Mapping[str, float] | None = None,
) -> keras.losses.Loss:
    """Return the focal loss (Lin et al., 2017): a cross-entropy in which sure answers count less.

    Args:
        spec: facts of the data.
        gamma: how much less: an answer of probability p is multiplied by (1 - p) ** gamma. 0 is cross-entropy.
        label_smoothing: as of `cross_entropy`.
        class_weights: the paper's alpha, see `output_weights`.

    Raises:
        ConfigError: a negative gamma; as `cross_entropy`.
    """
    _check_smoothing(label_smoothing)
    if not 0 <= gamma < float("inf"):
        raise ConfigError(f"loss.gamma: should be 0 or more. Received: {gamma}. Override: loss.gamma=2.0")
    weights = output_weights(spec, class_weights)
    return TaskLoss(spec.task, weights=weights, label_smoothing=label_smoothing, gamma=gamma, name="focal")


def _check_smoothing(share: float) -> None:
    if not 0 <= share < 1:
        raise ConfigError(
            f"loss.label_smoothing: should be 0 or more and below 1. Received: {share}. "
            "Override: loss.label_smoothing=0.1"
        )
