"""Which layers learn in a phase of a training."""

from __future__ import annotations

import math
from typing import Literal

import keras

from medexp.errors import ConfigError, unknown
from medexp.models.feature_map import feature_map


def freeze(
    network: keras.Model,
    *,
    train: str | float,
    batch_norm: Literal["train", "freeze"],
    key: str = "finetuning.phases.<phase>.train",
) -> int:
    """Set which layers of `network` are trainable; compile it afterwards, or it has no effect.

    A layer that is not trained keeps its weights bit for bit. A batch normalisation among them normalises by its
    moving mean and variance and does not move them, as in inference: `batch_norm="freeze"` asks that of all, which is
    what pre-trained statistics need where batches are small or unlike ImageNet.

    Args:
        network: ends with `classification_head`.
        train: `all`; `head`: what follows the pooling; the name of a layer: from it to the output, in the order of
            `network.layers`; or a share of the layers with weights, counted from the output, rounded up.
        batch_norm: `train` those of the trained layers, or `freeze` them.
        key: of `train` in the configuration, for the error.

    Returns:
        How many numbers are trained.

    Raises:
        ConfigError: an unknown layer, a share that is not above 0 and at most 1, nothing left to train.
    """
    layers = network.layers
    first = _first(network, train, key)
    for place, layer in enumerate(layers):
        frozen = batch_norm == "freeze" and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = place >= first and not frozen
    count = int(sum(math.prod(variable.shape) for variable in network.trainable_variables))
    if not count:
        raise ConfigError(
            f"{key}: nothing is left to train. Received: {train!r}, batch_norm={batch_norm}. Use {key}=all"
        )
    return count


def _first(network: keras.Model, train: str | float, key: str) -> int:
    """The place of the first trained layer."""
    names = [str(layer.name) for layer in network.layers]
    if train == "all":
        return 0
    if train == "head":
        return names.index(feature_map(network)) + 1
    if isinstance(train, str):
        if train not in names:
            raise ConfigError(f"{key}: {unknown(f'layer of {network.name}', train, ['all', 'head', *names])}")
        return names.index(train)
    if not 0 < train <= 1:
        raise ConfigError(f"{key}: a share is above 0 and at most 1. Received: {train!r}. Override: {key}=0.3")
    weighted = [place for place, layer in enumerate(network.layers) if layer.weights]
    return weighted[-math.ceil(train * len(weighted))]
