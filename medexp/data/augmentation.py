"""Augmentation policies: functions that return Keras layers, run in the graph while training only."""

from __future__ import annotations

from typing import Literal

import keras

from medexp.data.affine import RandomAffine


def standard(
    *,
    name: str,
    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None,
    moved: float = 1.0,
    rotation: float = 0.0,
    translation: float = 0.0,
    zoom: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    noise: float = 0.0,
) -> tuple[keras.layers.Layer, ...]:
    """Geometry, then intensity, then noise; what is 0 is left out.

    Args:
        name: of the policy.
        flip: which mirror images are equally likely.
        moved: share of the images that are rotated, translated and zoomed; the others keep their pixels exactly.
        rotation: up to this share of a full turn, both ways.
        translation: up to this share of the side, both axes.
        zoom: up to this share larger or smaller.
        brightness: up to this share of the range, both ways.
        contrast: by a factor between 1 - x and 1 + x.
        noise: standard deviation of Gaussian noise, share of the range.

    Returns:
        Layers that map float images (batch, height, width, channels), 0 to 255, to the same.
    """
    layers = keras.layers
    pixels = (0.0, 255.0)
    policy: list[keras.layers.Layer] = []
    if flip in ("horizontal", "horizontal_and_vertical"):
        policy.append(layers.RandomFlip("horizontal"))
    if flip in ("vertical", "horizontal_and_vertical"):  # two layers: Keras' own mode for both draws one coin
        policy.append(layers.RandomFlip("vertical"))
    if rotation or translation or zoom:
        policy.append(RandomAffine(share=moved, rotation=rotation, translation=translation, zoom=zoom))
    if brightness:
        policy.append(layers.RandomBrightness(brightness, value_range=pixels))
    if contrast:
        policy.append(layers.RandomContrast(contrast, value_range=pixels))
    if noise:
        policy += [layers.Rescaling(1 / 255), layers.GaussianNoise(noise), layers.Rescaling(255)]
    return tuple(policy)
