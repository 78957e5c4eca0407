"""Where a network looks: one map for each unit of its last layer."""

from __future__ import annotations

from typing import Literal

import keras
import numpy as np

from medexp.imaging.scale import scale
from medexp.models.feature_map import feature_map
from medexp.models.gradcam import gradcam
from medexp.models.serving import linear_weights

BATCH = 32


class ActivationMaps:
    """Maps of what speaks for each output of a network (above 0) and against it (below).

    Where what follows the last feature map is linear, these are class activation maps, as `serving_model` gives them;
    otherwise they are Grad-CAM's, by gradients.

    Args:
        network: as trained, or `calibrated`: it ends with `classification_head`, or with other layers after `pool`.
            Weights that change later are followed, but for `method`.

    Raises:
        ConfigError: it has no such end; says what is missing.
    """

    method: Literal["cam", "gradcam"]

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._features = keras.Model(network.input, network.get_layer(feature_map(network)).output)
        self.method = "gradcam" if linear_weights(network) is None else "cam"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return maps, `float32`, (n, rows, columns, outputs), of prepared pixels (n, height, width, channels)."""
        linear = linear_weights(self._network) if self.method == "cam" else None
        parts = []
        for start in range(0, len(images), BATCH):
            batch = scale(images[start : start + BATCH]).astype(np.float32)
            features = np.asarray(self._features.predict_on_batch(batch), dtype=np.float32)
            parts.append(features @ linear if linear is not None else gradcam(self._network, features))
        return np.concatenate(parts)
