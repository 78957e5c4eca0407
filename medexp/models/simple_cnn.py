"""A plain convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import scaled
from medexp.models.pretrained import Pretrained
from medexp.types import DataSpec


def simple_cnn(
    spec: DataSpec,
    *,
    name: str = "simple_cnn",
    weights: str | None = None,
    filters: Sequence[int] = (32, 64, 128),
    dropout: float = 0.3,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return a network of stages: a 3x3 convolution, batch normalisation, ReLU, 2x2 max pooling.

    Args:
        spec: image shape and outputs; the first convolution takes the channels as they are.
        name: of the model.
        weights: a file of an earlier run with the same values, or None.
        filters: channels of each stage; each stage halves the image.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation.

    Returns:
        As `classifier` says.

    Raises:
        ConfigError: more stages than the image can be halved, or weights that do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        layers = keras.layers
        x = scaled(image, "unit")
        for stage, channels in enumerate(filters, 1):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
            x = layers.BatchNormalization(name=f"norm{stage}")(x)
            x = layers.ReLU(name=f"relu{stage}")(x)
            x = layers.MaxPooling2D(name=f"shrink{stage}")(x)
        return x

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights),
        dropout=dropout,
        smallest=2 ** len(filters),
        bn_momentum=bn_momentum,
    )
