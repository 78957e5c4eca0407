"""Rotation, translation and zoom in one interpolation."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


class RandomAffine(keras.layers.Layer):
    """Rotates, zooms and shifts each image about its centre, in training only.

    Keras' RandomRotation, RandomTranslation and RandomZoom in a row interpolate three times: an image that is
    blurred thrice in training and never in validation is another image. Here it is once, bilinear; what comes
    in from outside is the reflection of what is inside.

    Args:
        rotation: up to this share of a full turn, both ways.
        translation: up to this share of the side, both axes, both ways.
        zoom: up to this share larger or smaller (a factor from 1 / (1 + zoom) to 1 + zoom).
        seed: of the random numbers; None takes the next from Keras' global seed.
    """

    def __init__(
        self,
        *,
        rotation: float = 0.0,
        translation: float = 0.0,
        zoom: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rotation, self.translation, self.zoom = rotation, translation, zoom
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Map images (batch, height, width, channels) to the same shape and type."""
        if not training:
            return images
        batch, height, width, _ = ops.shape(images)
        angle = self._uniform(batch, 2 * math.pi * self.rotation)
        scale = ops.exp(self._uniform(batch, math.log1p(self.zoom)))
        x, y = (width - 1) / 2, (height - 1) / 2
        cosine, sine = ops.cos(angle) * scale, ops.sin(angle) * scale
        dx = x + self._uniform(batch, self.translation * width)
        dy = y + self._uniform(batch, self.translation * height)
        zero = ops.zeros_like(angle)
        # output (x, y) is read from input (a x + b y + c, d x + e y + f)
        matrix = ops.stack(
            [cosine, -sine, dx - x * cosine + y * sine, sine, cosine, dy - x * sine - y * cosine, zero, zero], axis=1
        )
        return ops.image.affine_transform(images, matrix, interpolation="bilinear", fill_mode="reflect")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, so that the layer can be saved."""
        own = {"rotation": self.rotation, "translation": self.translation, "zoom": self.zoom, "seed": self.seed}
        return {**super().get_config(), **own}

    def _uniform(self, batch: Any, limit: float) -> Any:
        return keras.random.uniform((batch,), -limit, limit, seed=self.seed_generator)
