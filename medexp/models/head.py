"""The last layers that every network shares."""

from __future__ import annotations

import keras

from medexp.types import DataSpec


def classification_head(features: keras.KerasTensor, spec: DataSpec, *, dropout: float) -> keras.KerasTensor:
    """Global average pooling, dropout, and one dense layer of `spec.outputs` probabilities.

    A binary task has one sigmoid, a multi-class one a softmax, a multi-label one a sigmoid for each class. An ordinal
    one has P(grade > k) for each grade but the last, as the product of the conditional probabilities
    P(grade > j | grade >= j), j <= k (Shi, Cao and Raschka, CORN, arXiv:2111.08851): so they never rise with k.

    Args:
        features: the last feature map, (batch, height, width, channels).
        spec: says the task, and how many outputs.
        dropout: share of features dropped while training.

    Returns:
        Probabilities, `float32` under every precision policy, shape (batch, spec.outputs).
    """
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    if spec.task == "ordinal":
        x = keras.layers.Dense(spec.outputs, activation="log_sigmoid", dtype="float32", name="conditional")(x)
        return cumulative(x)
    activation = "softmax" if spec.task == "multiclass" else "sigmoid"
    return keras.layers.Dense(spec.outputs, activation=activation, dtype="float32", name="probabilities")(x)


def cumulative(logarithms: keras.KerasTensor) -> keras.KerasTensor:
    """Return P(grade > k) for each grade but the last, (batch, grades - 1).

    Args:
        logarithms: of the conditional probabilities P(grade > j | grade >= j), of the same shape.
    """
    product = keras.ops.cumsum(logarithms, axis=-1)
    return keras.layers.Activation("exponential", dtype="float32", name="probabilities")(product)
