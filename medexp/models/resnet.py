"""Residual networks (He et al., 2016), with a stem for large images and one for small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import keras
from keras import layers

from medexp.types import DataSpec

Stem = Literal["small", "imagenet"]
Block = Callable[..., keras.KerasTensor]
SMALL = 64  # pixels a side: below, the stem of ImageNet leaves next to nothing
CONV = {"kernel_initializer": "he_normal"}
NORM = {"epsilon": 1.001e-5}


def stem_for(stem: Stem | Literal["auto"], spec: DataSpec, *, weights: str | None = None) -> Stem:
    """Return the stem that `auto` means: that of ImageNet for its weights, and for images of 64 pixels and more."""
    if stem != "auto":
        return stem
    return "imagenet" if weights == "imagenet" or min(spec.input.shape[:2]) >= SMALL else "small"


def resnet_features(
    image: keras.KerasTensor, *, block: Block, depths: Sequence[int], stem: Stem, width: int = 64
) -> keras.KerasTensor:
    """Return the feature map of scaled images.

    Args:
        image: (batch, height, width, channels).
        block: `basic_block` or `bottleneck_block`.
        depths: blocks of each stage; each but the first halves the map and doubles the channels.
        stem: `imagenet`: a 7x7 convolution and a pooling, which quarter the image; `small`: a 3x3 convolution, which
            leaves it as large as it is.
        width: channels of the first stage.
    """
    bias = block is bottleneck_block  # as in keras.applications
    if stem == "imagenet":
        x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
        x = layers.Conv2D(width, 7, strides=2, use_bias=bias, name="conv1_conv", **CONV)(x)
    else:
        x = layers.Conv2D(width, 3, padding="same", use_bias=bias, name="conv1_conv", **CONV)(image)
    x = layers.BatchNormalization(name="conv1_bn", **NORM)(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    if stem == "imagenet":
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, depth in enumerate(depths):
        for number in range(1, depth + 1):
            stride = 2 if stage and number == 1 else 1
            x = block(x, width * 2**stage, stride=stride, name=f"conv{stage + 2}_block{number}")
    return x


def basic_block(x: keras.KerasTensor, filters: int, *, stride: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions beside a shortcut; it starts as the shortcut alone (Goyal et al., arXiv:1706.02677)."""
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=stride, use_bias=False, name=f"{name}_0_conv", **CONV)(x)
        shortcut = layers.BatchNormalization(name=f"{name}_0_bn", **NORM)(shortcut)
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_1_conv", **CONV)(x)
    x = layers.BatchNormalization(name=f"{name}_1_bn", **NORM)(x)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_2_conv", **CONV)(x)
    x = layers.BatchNormalization(gamma_initializer="zeros", name=f"{name}_2_bn", **NORM)(x)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def bottleneck_block(x: keras.KerasTensor, filters: int, *, stride: int, name: str) -> keras.KerasTensor:
    """Convolutions 1x1, 3x3, 1x1 beside a shortcut, to 4 * `filters` channels.

    Layers, names and places are those of `keras.applications.ResNet50`, whose weights fit; it starts as the shortcut
    alone, like `basic_block`.
    """
    shortcut = x
    if stride > 1 or x.shape[-1] != 4 * filters:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv", **CONV)(x)
        shortcut = layers.BatchNormalization(name=f"{name}_0_bn", **NORM)(shortcut)
    x = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv", **CONV)(x)
    x = layers.BatchNormalization(name=f"{name}_1_bn", **NORM)(x)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv", **CONV)(x)
    x = layers.BatchNormalization(name=f"{name}_2_bn", **NORM)(x)
    x = layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv", **CONV)(x)
    x = layers.BatchNormalization(gamma_initializer="zeros", name=f"{name}_3_bn", **NORM)(x)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)
