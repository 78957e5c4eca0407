"""One output per class, whatever the task: what evaluation and serving see."""

from __future__ import annotations

import keras


def class_probabilities(network: keras.Model) -> keras.Model:
    """Return a model that shares the layers of `network` and outputs `float32` (batch, classes), rows summing to 1.

    A binary network's single sigmoid p becomes (1 - p, p); others are returned as they are.
    """
    if network.output_shape[-1] != 1:
        return network
    positive = network.output
    both = keras.layers.Concatenate(name="classes")([1.0 - positive, positive])
    return keras.Model(network.input, both, name=f"{network.name}_classes")
