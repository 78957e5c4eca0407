"""What all networks share: from a function that builds feature maps to a classifier with pre-trained weights."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras

from medexp.models.head import classification_head
from medexp.models.image_input import image_input
from medexp.models.pretrained import Pretrained, load_weights
from medexp.types import DataSpec


def classifier(
    features: Callable[[keras.KerasTensor], keras.KerasTensor],
    spec: DataSpec,
    *,
    name: str,
    pretrained: Pretrained,
    dropout: float,
    smallest: int = 1,
    bn_momentum: float | None = None,
    adjust: Callable[[keras.Model], None] | None = None,
) -> keras.Model:
    """Return a functional model from float images (batch, height, width, channels), 0 to 255, to probabilities.

    It is flat, also where a network of `keras.applications` has a Sequential in it, and its layers have the same names
    whatever was built before.

    Args:
        features: from images to the last feature map, (batch, height, width, channels).
        spec: image shape and outputs.
        name: of the model.
        pretrained: the weights to start from.
        dropout: before the last layer.
        smallest: image, in pixels a side, of which something is left in the feature map.
        bn_momentum: of every batch normalisation; None leaves it as it is.
        adjust: called with the model of the feature map when it has taken over weights of `keras.applications`.

    Raises:
        ConfigError: images that are too small; weights that are not there or do not fit.
    """
    image = image_input(spec, network=name, smallest=smallest)
    base = keras.Model(image, features(image), name=name)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and bn_momentum is not None:
            layer.momentum = bn_momentum
    _number(base)
    flat = _flat(base)
    network = keras.Model(flat.input, classification_head(flat.output, spec, dropout=dropout), name=name)
    path = pretrained.path(name)
    if path is not None and load_weights(network, base, path) == "backbone":
        if adjust is not None:
            adjust(base)
        _copy(base, flat)
    return network


def _number(base: keras.Model) -> None:
    """Count what has no name of its own within the network: Keras counts on from one network to the next."""
    counts: dict[str, int] = {}
    for operation in base.operations:
        kind = re.sub(r"_\d+$", "", operation.name)
        if kind.replace("_", "") == type(operation).__name__.lower():
            counts[kind] = counts.get(kind, 0) + 1
            operation.name = f"{kind}_{counts[kind]}"


def _flat(base: keras.Model) -> keras.Model:
    """Return `base` with the layers of each Sequential in it instead of the Sequential."""
    if not any(isinstance(layer, keras.Sequential) for layer in base.layers):
        return base

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return layer if isinstance(layer, keras.Sequential) else type(layer).from_config(layer.get_config())

    def call(layer: keras.layers.Layer, *inputs: keras.KerasTensor, **options: object) -> keras.KerasTensor:
        if not isinstance(layer, keras.Sequential):
            return layer(*inputs, **options)
        (x,) = inputs
        for part in layer.layers:
            x = clone(part)(x)
        return x

    flat = keras.models.clone_model(base, clone_function=clone, call_function=call)
    _copy(base, flat)
    return flat


def _copy(base: keras.Model, flat: keras.Model) -> None:
    """Give `flat` the weights of `base`, where it has its own."""
    for layer in base.layers if flat is not base else ():
        for part in layer.layers if isinstance(layer, keras.Sequential) else [layer]:
            if part.weights:
                flat.get_layer(part.name).set_weights(part.get_weights())
