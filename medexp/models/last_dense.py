"""Where the logits of a network are made."""

from __future__ import annotations

import keras

from medexp.errors import ConfigError

NAMES = ("conditional", "probabilities")  # of the dense layer of `classification_head`: ordinal, other tasks


def last_dense(network: keras.Model) -> keras.layers.Dense:
    """Return the dense layer that `classification_head` ends with, of the network itself or a calibrated one.

    Raises:
        ConfigError: there is none; says which layers there are.
    """
    for layer in network.layers:
        if layer.name in NAMES and isinstance(layer, keras.layers.Dense):
            return layer
    raise ConfigError(
        f"The network has no dense layer named {' or '.join(NAMES)} to take its logits from. Received: {network.name}, "
        f"which ends in {', '.join(layer.name for layer in network.layers[-3:])}. End the network with "
        "medexp.models.head.classification_head"
    )
