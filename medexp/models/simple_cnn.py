"""A plain convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.head import classification_head
from medexp.types import DataSpec


def simple_cnn(
    spec: DataSpec, *, name: str = "simple_cnn", filters: Sequence[int] = (32, 64, 128), dropout: float = 0.3
) -> keras.Model:
    """Return an untrained network: per stage a 3x3 convolution, batch normalisation, ReLU, 2x2 max pooling.

    Args:
        spec: image shape and outputs.
        name: of the model.
        filters: channels of each stage; each stage halves the image.
        dropout: before the last layer.

    Returns:
        A functional model from float images (batch, height, width, channels), 0 to 255, to probabilities.

    Raises:
        ValueError: more stages than the image can be halved.
    """
    height, width, _ = spec.input.shape
    if min(height, width) < 2 ** len(filters):
        raise ValueError(f"{len(filters)} stages need images of at least {2 ** len(filters)} pixels a side")
    layers = keras.layers
    image = keras.Input(spec.input.shape, name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(image)
    for stage, channels in enumerate(filters, 1):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        x = layers.ReLU(name=f"relu{stage}")(x)
        x = layers.MaxPooling2D(name=f"shrink{stage}")(x)
    return keras.Model(image, classification_head(x, spec, dropout=dropout), name=name)
