"""Rotation, translation, zoom, shear and elastic deformation in one interpolation."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import keras
from keras import ops

from medexp.data.changes import UPRIGHT, Change
from medexp.data.sampling import bilinear, spline_basis
from medexp.errors import ConfigError

CELLS = 4  # of the elastic deformation along each axis
FOLD = 0.48 / CELLS  # control points that move less cannot fold the image (Choi & Lee, 2000)
_LIMITS = ("share", "rotation", "translation", "zoom", "shear", "elastic")


class RandomAffine(keras.layers.Layer):
    """Rotates, zooms, shears, shifts and bends images about their centre, in training only.

    Keras' RandomRotation, RandomTranslation and RandomZoom in a row interpolate three times, and every image:
    a network that sees only blurred images in training meets another kind in validation. Here it is once,
    bilinear, and a share of the images keeps its pixels exactly. What comes in from outside is the reflection
    of what is inside. Keras' RandomElasticTransform is no choice: where a graph does not know the size of its
    batches, which is always so in `fit`, it replaces every image by the first of the batch (3.15, TensorFlow).

    Args:
        share: of the images that are moved, from 0 to 1.
        rotation: up to this share of a full turn, both ways.
        translation: up to this share of the side, both axes, both ways.
        zoom: up to this share larger or smaller (a factor from 1 / (1 + zoom) to 1 + zoom).
        shear: rows are shifted by up to this share of their distance from the centre, both ways.
        elastic: up to this share of the side, both ways, for each control point of a free-form deformation.
        seed: of the random numbers; None takes the next from Keras' global seed.

    Raises:
        ConfigError: an elastic deformation that could fold the image.
    """

    def __init__(
        self,
        *,
        share: float = 1.0,
        rotation: float = 0.0,
        translation: float = 0.0,
        zoom: float = 0.0,
        shear: float = 0.0,
        elastic: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= elastic <= FOLD:
            raise ConfigError(
                f"An elastic deformation of more than {FOLD:g} of the side can fold an image. "
                f"Received: elastic={elastic}. Override: augmentation.elastic=0.03"
            )
        self.share, self.rotation, self.translation, self.zoom = share, rotation, translation, zoom
        self.shear, self.elastic = shear, elastic
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.compiled = False  # by XLA, which has no kernel for TensorFlow's transform; the trainer says so

    @property
    def changes(self) -> tuple[Change, ...]:
        """An image that leans too far does not stand upright."""
        found = []
        if self.rotation * 360 > UPRIGHT:
            what = f"it rotates by up to {self.rotation * 360:.0f} degrees; {UPRIGHT:.0f} are allowed"
            found.append(Change("orientation", what, f"augmentation.rotation={UPRIGHT / 360:.3f}"))
        if math.degrees(math.atan(self.shear)) > UPRIGHT:
            limit = math.tan(math.radians(UPRIGHT))
            what = f"it shears by up to {self.shear:g}; {limit:.2f} is allowed"
            found.append(Change("orientation", what, f"augmentation.shear={limit:.2f}"))
        return tuple(found)

    def without(self, facts: Collection[str]) -> RandomAffine | None:
        """The same layer without the motions that change one of `facts`; None if nothing is left."""
        limits = {name: getattr(self, name) for name in _LIMITS}
        if "orientation" in facts:
            leans = {"rotation": self.rotation * 360, "shear": math.degrees(math.atan(self.shear))}
            limits |= {name: 0.0 for name, degrees in leans.items() if degrees > UPRIGHT}
        if not any(limits[name] for name in _LIMITS[1:]):
            return None
        return RandomAffine(**limits, seed=self.seed, name=self.name, dtype=self.dtype_policy)

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
        slope = uniform(self.shear) if self.shear else ops.zeros_like(angle)
        # output (x, y) is read from input (a x + b y + c, d x + e y + f); without a motion it is exactly itself
        a, b, d, e = cosine, cosine * slope - sine, sine, sine * slope + cosine
        c, f = x - a * x - b * y + dx, y - d * x - e * y + dy
        if not self.elastic and not self.compiled:
            zero = ops.zeros_like(angle)
            matrix = ops.stack([a, b, c, d, e, f, zero, zero], axis=1)
            return ops.image.affine_transform(images, matrix, interpolation="bilinear", fill_mode="reflect")
        a, b, c, d, e, f = (value[:, None, None] for value in (a, b, c, d, e, f))
        column = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width))
        row = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1))
        across, down = self._bent(moved, height, width) if self.elastic else (0.0, 0.0)
        result = bilinear(images, a * column + b * row + c + across, d * column + e * row + f + down)
        return ops.cast(result, images.dtype)

    def _bent(self, moved: Any, height: int, width: int) -> tuple[Any, Any]:
        """Displacements of each pixel, (batch, height, width) each: across and down."""
        shape = (2, ops.shape(moved)[0], CELLS + 3, CELLS + 3)
        limit = self.elastic
        control = keras.random.uniform(shape, -limit, limit, dtype="float32", seed=self.seed_generator)
        rows = ops.convert_to_tensor(spline_basis(height, CELLS))
        columns = ops.convert_to_tensor(spline_basis(width, CELLS))
        field = ops.einsum("hp,nbpq,wq->nbhw", rows, control, columns) * moved[None, :, None, None]
        return field[0] * width, field[1] * height

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, so that the layer can be saved."""
        return {**super().get_config(), **{name: getattr(self, name) for name in (*_LIMITS, "seed")}}
