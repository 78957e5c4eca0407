"""One output per class, whatever the task: what evaluation and serving see."""

from __future__ import annotations

import keras

from medexp.types import Task


def class_probabilities(network: keras.Model, *, task: Task) -> keras.Model:
    """Return a model that shares the layers of `network` and outputs a probability for each class.

    The single sigmoid p of a binary network becomes (1 - p, p). The K - 1 cumulative probabilities of an ordinal one
    become those of its K grades, by differences. Those of the other tasks are returned as they are.

    Returns:
        A model with `float32` outputs, shape (batch, classes). Rows sum to 1, except where an image may have any number
        of the classes (multi-label).
    """
    if task in ("multiclass", "multilabel"):
        return network
    above = network.output
    if task == "binary":
        classes = keras.layers.Concatenate(name="classes")([1.0 - above, above])
    else:
        at_least = keras.ops.pad(above, ((0, 0), (1, 0)), constant_values=1.0)
        difference = at_least - keras.ops.pad(above, ((0, 0), (0, 1)))
        classes = keras.layers.ReLU(dtype="float32", name="classes")(difference)  # a rounding may fall below 0
    return keras.Model(network.input, classes, name=f"{network.name}_classes")
