"""Grad-CAM: where a network looks, by gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from medexp.errors import ConfigError
from medexp.models.feature_map import feature_map
from medexp.models.last_dense import last_dense


def gradcam(network: keras.Model, features: np.ndarray) -> np.ndarray:
    """Return signed Grad-CAM maps of each logit (Selvaraju et al., ICCV 2017), whatever follows the feature map.

    A channel weighs what the logit gains where the channel rises everywhere: the sum of the logit's gradient over
    places. The paper divides by their number and keeps what is above 0; without either the maps of a linear head are
    its class activation maps.

    Args:
        network: ends with `pool`, any layers, and the dense layer of `classification_head`.
        features: of its last feature map, (n, rows, columns, channels).

    Returns:
        `float32`, (n, rows, columns, outputs).

    Raises:
        ConfigError: Keras runs on a backend that this knows no gradients of.
    """
    dense = last_dense(network)
    tail = keras.Model(network.get_layer(feature_map(network)).output, keras.layers.Identity()(dense.input))

    def logit(maps: Any, *, output: int) -> Any:
        last = tail(maps, training=False)
        return keras.ops.sum(keras.ops.matmul(last, dense.kernel[:, output : output + 1]))  # images do not mix

    found = []
    for output in range(dense.units):
        gradients = _gradients(partial(logit, output=output), features.astype(np.float32))
        weights = gradients.sum(axis=(1, 2), keepdims=True)
        found.append((features * weights).sum(axis=-1))
    return np.stack(found, axis=-1).astype(np.float32)


def _gradients(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """The gradient of a scalar function of a tensor. Keras itself differentiates nothing."""
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Grad-CAM knows the gradients of tensorflow alone. Received: runtime.backend={keras.backend.backend()}. "
            "Override: runtime.backend=tensorflow or evaluation.saliency=false"
        )
    import tensorflow as tf

    point = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return np.asarray(tape.gradient(value, point))
