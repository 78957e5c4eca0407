"""Where a network sees where."""

from __future__ import annotations

import keras


def feature_map(network: keras.Model) -> str:
    """Return the name of the layer whose output, (batch, height, width, channels), the layer `pool` averages.

    Saliency weighs this map, the last that knows places; fine-tuning calls what follows it the head.
    """
    pooled = network.get_layer("pool").input
    return next(str(layer.name) for layer in network.layers if layer.output is pooled)
