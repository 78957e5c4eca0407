"""Where a network sees where."""

from __future__ import annotations

import keras

from medexp.errors import ConfigError


def feature_map(network: keras.Model) -> str:
    """Return the name of the layer whose output, (batch, height, width, channels), the layer `pool` averages.

    Saliency weighs this map, the last that knows places; fine-tuning calls what follows it the head.

    Raises:
        ConfigError: the network does not end with `classification_head`; says what is missing.
    """
    layers = {str(layer.name): layer for layer in network.layers}
    pool = layers.get("pool")
    if not isinstance(pool, keras.layers.GlobalAveragePooling2D):
        raise ConfigError(
            "The network has no global average pooling named pool, before which its last feature map would be. "
            f"Received: {network.name}, which ends in {', '.join(list(layers)[-3:])}. End the network with "
            "medexp.models.head.classification_head"
        )
    return next(name for name, layer in layers.items() if layer.output is pool.input)
