"""Rotation, translation and zoom in one interpolation."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


class RandomAffine(keras.layers.Layer):
    """Rotates, zooms and shifts images about their centre, in training only.

    Keras' RandomRotation, RandomTranslation and RandomZoom in a row interpolate three times, and every image:
    a network that sees only blurred images in training meets another kind in validation. Here it is once,
    bilinear, and a share of the images keeps its pixels exactly. What comes in from outside is the reflection
    of what is inside.

    Args:
        share: of the images that are moved, from 0 to 1.
        rotation: up to this share of a full turn, both ways.
        translation: up to this share of the side, both axes, both ways.
        zoom: up to this share larger or smaller (a factor from 1 / (1 + zoom) to 1 + zoom).
        seed: of the random numbers; None takes the next from Keras' global seed.
    """

    def __init__(
        self,
        *,
        share: float = 1.0,
        rotation: float = 0.0,
        translation: float = 0.0,
        zoom: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.share, self.rotation, self.translation, self.zoom = share, rotation, translation, zoom
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Map images (batch, height, width, channels) to the same shape and type."""
        if not training:
            return images
        batch, height, width, _ = ops.shape(images)
        drawn = keras.random.uniform((batch,), 0, 1, seed=self.seed_generator) < self.share
        moved = ops.cast(drawn, "float32")

        def uniform(limit: float) -> Any:
            return moved * keras.random.uniform((batch,), -limit, limit, dtype="float32", seed=self.seed_generator)

        angle = uniform(2 * math.pi * self.rotation)
        scale = ops.exp(uniform(math.log1p(self.zoom)))
        x, y = (width - 1) / 2, (height - 1) / 2
        cosine, sine = ops.cos(angle) * scale, ops.sin(angle) * scale
        dx, dy = uniform(self.translation) * width, uniform(self.translation) * height
        zero = ops.zeros_like(angle)
        # output (x, y) is read from input (a x + b y + c, d x + e y + f); without a motion it is exactly itself
        matrix = ops.stack(
            [
                cosine,
                -sine,
                x * (1 - cosine) + y * sine + dx,
                sine,
                cosine,
                y * (1 - cosine) - x * sine + dy,
                zero,
                zero,
            ],
            axis=1,
        )
        return ops.image.affine_transform(images, matrix, interpolation="bilinear", fill_mode="reflect")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, so that the layer can be saved."""
        names = ("share", "rotation", "translation", "zoom", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
