"""Two images in one, and their targets in the same proportion: Keras' layers, with draws that XLA can compile."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import betaincinv

from medexp.data.changes import Change

QUANTILES = 4096


class MixUp(keras.layers.MixUp):
    """Blends pairs of images and of their targets by a weight from Beta(alpha, alpha) (Zhang et al., 2018).

    Keras draws the weights by TensorFlow's gamma distribution, for which XLA has no kernel; here by quantiles.

    Args:
        alpha: near 0 a pair is nearly one of the two, at 1 all weights are equally likely.
    """

    changes = tuple(
        Change(fact, "a blend of two images holds values that neither had", "augmentation.mixup=0")
        for fact in ("intensity", "colour")
    )

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> dict[str, Any]:
        """Draw partners and weights."""
        batch = ops.shape(data["images"])[0]
        return {
            "permutation_order": _partners(batch, self.generator),
            "mix_weight": _weights(batch, self.alpha, self.generator),
        }


class CutMix(keras.layers.CutMix):
    """Pastes a rectangle of another image into each, and mixes the targets by its pixels (Yun et al., 2019).

    Keras draws one alpha for a whole batch, and weights as in its MixUp. The rectangle lies where it lay, so it is
    neither mirrored nor tilted, and its values were measured.

    Args:
        alpha: the rectangle's share of the image comes from Beta(alpha, alpha): all equally likely at 1.
    """

    changes = ()

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> dict[str, Any]:
        """Draw partners and rectangles."""
        batch, height, width, _ = ops.shape(data["images"])
        side = ops.sqrt(1 - _weights(batch, self.alpha, self.generator))

        def inside(size: int) -> Any:
            length = side * size
            start = keras.random.uniform((batch,), dtype="float32", seed=self.generator) * (size - length)
            place = ops.arange(size, dtype="float32")[None, :] + 0.5
            return ops.logical_and(place >= start[:, None], place < (start + length)[:, None])

        mask = ops.logical_and(inside(height)[:, :, None], inside(width)[:, None, :])
        return {
            "permutation_order": _partners(batch, self.generator),
            "batch_masks": mask[..., None],
            "mix_weight": 1 - ops.mean(ops.cast(mask, "float32"), axis=(1, 2)),
        }

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, so that the layer can be saved."""
        return {**super().get_config(), "alpha": self.alpha}


def _partners(batch: Any, generator: keras.random.SeedGenerator) -> Any:
    return ops.argsort(keras.random.uniform((batch,), dtype="float32", seed=generator))


def _weights(batch: Any, alpha: float, generator: keras.random.SeedGenerator) -> Any:
    """Numbers from Beta(alpha, alpha), (batch,): evenly drawn quantiles."""
    quantiles = betaincinv(alpha, alpha, (np.arange(QUANTILES) + 0.5) / QUANTILES).astype(np.float32)
    drawn = keras.random.uniform((batch,), dtype="float32", seed=generator)
    place = ops.minimum(ops.cast(drawn * QUANTILES, "int32"), QUANTILES - 1)
    return ops.take(ops.convert_to_tensor(quantiles), place)
