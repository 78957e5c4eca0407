"""What is minimised: functions from the facts of the data to a Keras loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import keras

from medexp.types import DataSpec


def cross_entropy(
    spec: DataSpec,
    *,
    label_smoothing: float = 0.0,
    class_weights: Literal["auto"] | Mapping[str, float] | None = None,
) -> keras.losses.Loss:
    """Return the cross-entropy of the task of `spec`."""
    kind = keras.losses.CategoricalCrossentropy if spec.task == "multiclass" else keras.losses.BinaryCrossentropy
    return kind(label_smoothing=label_smoothing)
