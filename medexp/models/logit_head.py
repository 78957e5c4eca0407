"""What the last layer of a network says before its activation."""

from __future__ import annotations

import keras

from medexp.models.last_dense import last_dense


def logit_head(network: keras.Model) -> keras.Model:
    """Return a model from the pooled features of `network` (batch, d) to its logits (batch, outputs).

    Probabilities close to 1 have lost digits of them in single precision: calibration is fitted on these. The dense
    layer has weights of its own, copied now.

    Raises:
        ConfigError: the network does not end with `classification_head`; says what is missing.
    """
    dense = last_dense(network)
    linear = keras.layers.Dense.from_config({**dense.get_config(), "activation": "linear", "name": "logits"})
    logits = linear(dense.input)
    linear.set_weights(dense.get_weights())
    return keras.Model(network.get_layer("pool").output, logits, name=f"{network.name}_logits")
