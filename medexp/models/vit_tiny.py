"""A small vision transformer."""

from __future__ import annotations

import keras
from keras import layers

from medexp.errors import ConfigError
from medexp.models.classifier import classifier
from medexp.models.image_input import rgb, scaled
from medexp.models.pretrained import Pretrained
from medexp.types import DataSpec

WIDTH, HEADS = 192, 3
MOST = 14  # patches a side, as a network for 224 pixels has with patches of 16


def vit_tiny(
    spec: DataSpec,
    *,
    name: str = "vit_tiny",
    weights: str | None = None,
    patch: int | None = None,
    depth: int = 12,
    dropout: float = 0.2,
) -> keras.Model:
    """Return ViT-Ti (Dosovitskiy et al., 2021; Touvron et al., 2021) without a class token.

    The last map of tokens is averaged, as the feature maps of the other networks are (Beyer et al., arXiv:2205.01580).
    Positions are learned, one for each patch of the images of `spec`; images that patches do not divide are padded
    with black, below and on the right.

    Args:
        spec: image shape and outputs; a grey image is repeated over three channels.
        name: of the model.
        weights: a file of an earlier run on images of the same size, or None; Keras has no published ones.
        patch: pixels a side of a patch; None: 4, 8, 16 ..., the first that gives at most 14 patches a side.
        depth: blocks of attention.
        dropout: before the last layer.

    Returns:
        As `classifier` says.

    Raises:
        ConfigError: patches that are larger than the image; weights that are not there or do not fit.
    """
    height, width, _ = spec.input.shape
    size = patch if patch is not None else _patch(height, width)
    if patch is not None and not 1 <= patch <= min(height, width):
        raise ConfigError(
            f"A patch is at least one pixel and at most the image. Received: model.patch={patch}, "
            f"data.input.height={height}, data.input.width={width}. Override: model.patch=null"
        )

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = _patches(scaled(rgb(image), "tf"), size)
        grid = x.shape[1:3]
        # One product embeds a patch; its bias, one for each place, is the position.
        x = layers.EinsumDense(
            "bhwp,pd->bhwd",
            output_shape=(*grid, WIDTH),
            bias_axes="hwd",
            bias_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="embed",
        )(x)
        x = layers.Reshape((grid[0] * grid[1], WIDTH), name="tokens")(x)
        for number in range(1, depth + 1):
            x = _block(x, name=f"block{number}")
        x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
        return layers.Reshape((*grid, WIDTH), name="map")(x)

    return classifier(features, spec, name=name, pretrained=Pretrained(weights), dropout=dropout, smallest=size)


def _patch(height: int, width: int) -> int:
    size = 4
    while -(-max(height, width) // size) > MOST and 2 * size <= min(height, width):
        size *= 2
    return size


def _patches(image: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """Cut (batch, height, width, channels) into (batch, rows, columns, size * size * channels)."""
    height, width, channels = image.shape[1:]
    rows, columns = -(-height // size), -(-width // size)
    if (rows * size, columns * size) != (height, width):
        pad = ((0, rows * size - height), (0, columns * size - width))
        image = layers.ZeroPadding2D(pad, name="pad")(image)
    x = layers.Reshape((rows, size, columns, size * channels), name="cut")(image)
    x = layers.Permute((1, 3, 2, 4), name="gather")(x)
    return layers.Reshape((rows, columns, size * size * channels), name="patches")(x)


def _block(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Attention between tokens, then two dense layers for each; both beside a shortcut, normalised before."""
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(4 * WIDTH, activation="gelu", name=f"{name}_dense1")(y)
    y = layers.Dense(WIDTH, name=f"{name}_dense2")(y)
    return layers.Add(name=f"{name}_add2")([x, y])
