"""Augmentation policies: functions that return Keras layers, run in the graph while training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras

from medexp.data.affine import RandomAffine
from medexp.data.choice import RandomChoice
from medexp.data.gamma import RandomGamma
from medexp.data.mixing import CutMix, MixUp
from medexp.data.policy import Policy
from medexp.errors import ConfigError, unknown

PIXELS = (0.0, 255.0)
MAGNITUDES = {"rotation": 30 / 360, "translation": 0.3, "shear": 0.3, "brightness": 0.5, "contrast": 0.9, "colour": 0.9}
# Left out of RandAugment: equalization (Keras takes the histogram of a whole batch), solarization (Keras' may invert
# the whole image, whatever its limits), sharpness (Keras' darkens the border, which it takes to be black outside).
OPERATIONS = (*MAGNITUDES, "posterization", "auto_contrast")


def standard(
    *,
    name: str,
    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None,
    moved: float = 1.0,
    rotation: float = 0.0,
    translation: float = 0.0,
    zoom: float = 0.0,
    elastic: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    gamma: float = 0.0,
    noise: float = 0.0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    on_conflict: Literal["refuse", "drop"] = "refuse",
) -> Policy:
    """Geometry, then intensity, then noise, then mixing; what is 0 is left out.

    Args:
        name: of the policy.
        flip: which mirror images are equally likely.
        moved: share of the images that are rotated, translated, zoomed and bent; the others keep their pixels exactly.
        rotation: up to this share of a full turn, both ways.
        translation: up to this share of the side, both axes.
        zoom: up to this share larger or smaller.
        elastic: control points of a smooth deformation move by up to this share of the side.
        brightness: up to this share of the range, both ways.
        contrast: by a factor between 1 - x and 1 + x.
        gamma: middle greys lighter or darker, by an exponent from 1 / (1 + x) to 1 + x.
        noise: standard deviation of Gaussian noise, share of the range.
        mixup: blend pairs of images and of their targets by a weight from Beta(x, x) (Zhang et al., 2018).
        cutmix: paste a rectangle of another image, its area from Beta(x, x), and mix the targets by area (Yun et al.,
            2019).
        on_conflict: what happens where the policy breaks a declared invariance of the data.

    Raises:
        ConfigError: mixup and cutmix together.
    """
    if mixup and cutmix:
        raise ConfigError(
            f"Images are mixed in one way. Received: augmentation.mixup={mixup}, augmentation.cutmix={cutmix}. "
            "Override: augmentation.mixup=0 or augmentation.cutmix=0"
        )
    layers: list[keras.layers.Layer] = [
        _off(keras.layers.RandomFlip(mode, name=f"flip_{mode}", dtype="float32"), "flip=null")
        for mode in ("horizontal", "vertical")  # two layers: Keras' own mode for both draws one coin
        if flip in (mode, "horizontal_and_vertical")
    ]
    if rotation or translation or zoom or elastic:
        layers.append(
            RandomAffine(
                share=moved,
                rotation=rotation,
                translation=translation,
                zoom=zoom,
                elastic=elastic,
                name="geometry",
                dtype="float32",
            )
        )
    if brightness:
        layers.append(_brightness(brightness))
    if contrast:
        layers.append(_contrast(contrast))
    if gamma:
        layers.append(RandomGamma(gamma, name="gamma", dtype="float32"))
    if noise:
        layers.append(_noise(noise))
    if mixup:
        layers.append(MixUp(mixup, name="mixup", dtype="float32"))
    if cutmix:
        layers.append(CutMix(cutmix, name="cutmix", dtype="float32"))
    return Policy(name, tuple(layers), on_conflict)


def randaugment(
    *,
    name: str,
    picks: int = 2,
    magnitude: float = 0.3,
    operations: Sequence[str] = tuple(MAGNITUDES),
    on_conflict: Literal["refuse", "drop"] = "refuse",
) -> Policy:
    """A few operations for each image, chosen at random, of one strength (RandAugment, Cubuk et al., 2020).

    Args:
        name: of the policy.
        picks: how many operations an image gets.
        magnitude: of all operations, from 0 to 1: a rotation of up to 30 degrees, a translation or shear of up to
            0.3 of the side, at 1.
        operations: to choose from, in the order in which they are applied.
        on_conflict: what happens where the policy breaks a declared invariance of the data; `drop` takes the
            operations out that do.

    Raises:
        ConfigError: an unknown operation, no operation, a magnitude or a number of picks out of range.
    """
    if not operations:
        raise ConfigError(
            f"augmentation.operations: should name at least one of {', '.join(OPERATIONS)}. Received: []."
        )
    for operation in operations:
        if operation not in OPERATIONS:
            raise ConfigError(f"augmentation.operations: {unknown('operation', operation, OPERATIONS)}")
    if not 0 < magnitude <= 1:
        raise ConfigError(f"augmentation.magnitude: should be above 0 and at most 1. Received: {magnitude}.")
    if not 1 <= picks <= len(operations):
        raise ConfigError(
            f"augmentation.picks: should be from 1 to {len(operations)}, the number of operations. Received: {picks}."
        )
    layers = [_operation(operation, magnitude) for operation in operations]
    return Policy(name, (RandomChoice(layers, picks=picks, name="randaugment", dtype="float32"),), on_conflict)


def _operation(name: str, magnitude: float) -> keras.layers.Layer:
    layers = keras.layers
    limit = MAGNITUDES.get(name, 1.0) * magnitude
    if name in ("rotation", "translation", "shear"):
        motion: dict[str, Any] = {name: limit}
        return RandomAffine(**motion, name=name, dtype="float32")
    if name == "brightness":
        return _brightness(limit)
    if name == "contrast":
        return _contrast(limit)
    if name == "posterization":  # bits that are left; a single number would be the upper limit, the lower one 1
        return layers.RandomPosterization((8 - round(5 * limit), 8), PIXELS, name=name, dtype="float32")
    if name == "auto_contrast":
        return layers.AutoContrast(PIXELS, name=name, dtype="float32")
    colour = layers.RandomColorDegeneration(limit, PIXELS, name=name, dtype="float32")
    colour.colours_only = True
    return colour


def _brightness(limit: float) -> keras.layers.Layer:
    layer = keras.layers.RandomBrightness(limit, value_range=PIXELS, name="brightness", dtype="float32")
    return _off(layer, "brightness=0")


def _contrast(limit: float) -> keras.layers.Layer:
    both = (limit, limit)  # a single number is only the upper one to Keras
    return _off(keras.layers.RandomContrast(both, PIXELS, name="contrast", dtype="float32"), "contrast=0")


def _noise(deviation: float) -> keras.layers.Layer:
    """Zero on average: it moves no measurement, so it changes no fact."""
    steps = [keras.layers.Rescaling(1 / 255), keras.layers.GaussianNoise(deviation), keras.layers.Rescaling(255)]
    layer = keras.Sequential(steps, name="noise")
    layer.changes = ()
    return layer


def _off(layer: keras.layers.Layer, override: str) -> keras.layers.Layer:
    """Write on the layer what switches it off."""
    layer.override = f"augmentation.{override}"
    return layer
