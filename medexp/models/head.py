"""The last layers that every network shares."""

from __future__ import annotations

import keras

from medexp.types import DataSpec


def classification_head(features: keras.KerasTensor, spec: DataSpec, *, dropout: float) -> keras.KerasTensor:
    """Global average pooling, dropout, and one dense layer of `spec.outputs` probabilities.

    Args:
        features: the last feature map, (batch, height, width, channels).
        spec: says how many outputs; a binary task has one sigmoid, others a softmax.
        dropout: share of features dropped while training.

    Returns:
        Probabilities, `float32` under every precision policy, shape (batch, spec.outputs).
    """
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    activation = "sigmoid" if spec.task == "binary" else "softmax"
    return keras.layers.Dense(spec.outputs, activation=activation, dtype="float32", name="probabilities")(x)
