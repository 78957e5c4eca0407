"""Another tone curve for each image."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from medexp.data.changes import Change

WHITE = 255.0
WHAT = "it bends the scale from black to white"


class RandomGamma(keras.layers.Layer):
    """Raises pixels to a power, black and white staying what they are, in training only.

    Middle greys become lighter or darker, as under another exposure or another look-up table of a scanner. Keras has no
    such layer.

    Args:
        limit: exponents lie between 1 / (1 + limit) and 1 + limit, lighter and darker equally likely.
        seed: of the random numbers; None takes the next from Keras' global seed.
    """

    # The channels of a colour change by different factors, and its hue with them.
    changes = (
        Change("intensity", WHAT, "augmentation.gamma=0"),
        Change("colour", WHAT, "augmentation.gamma=0"),
    )

    def __init__(self, limit: float, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit, self.seed = limit, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Map images (batch, height, width, channels), 0 to 255, to the same shape and type."""
        if not training:
            return images
        shape = (ops.shape(images)[0], 1, 1, 1)
        span = math.log1p(self.limit)
        drawn = keras.random.uniform(shape, -span, span, dtype="float32", seed=self.seed_generator)
        # Above zero: the power of zero has no derivative, and the logarithm in it no value.
        unit = ops.clip(images / WHITE, 1e-6, 1.0)
        return ops.cast(WHITE * ops.power(unit, ops.exp(drawn)), images.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, so that the layer can be saved."""
        return {**super().get_config(), "limit": self.limit, "seed": self.seed}
