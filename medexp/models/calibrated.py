"""A trained network whose probabilities are true."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from medexp.models.head import cumulative
from medexp.models.last_dense import last_dense
from medexp.types import Calibration, Task

_SMALLEST = float(np.finfo(np.float32).tiny)  # of a probability that a logarithm is taken of


def calibrated(network: keras.Model, *, task: Task, calibration: Calibration) -> keras.Model:
    """Return a network with the outputs of `network`, calibrated; `class_probabilities` takes either.

    Scale and shift of the logits are in the weights of its own last dense layer, so that it has the layers of the one
    that was trained, with their names, and costs the same. Isotonic curves are a few operations after that layer. All
    other layers are shared; `network` stays as it is. Only stock Keras is used.

    Args:
        network: as trained, ending with `classification_head`.
        task: what kind of labels.
        calibration: as fitted on validation: of each unit of the dense layer.

    Raises:
        ConfigError: the network does not end so.
    """
    if calibration.method == "none":
        return network
    dense = last_dense(network)
    config: dict[str, Any] = dense.get_config()
    if calibration.method == "isotonic" and task == "ordinal":
        config["activation"] = "sigmoid"  # not its logarithm, whose exponential has a digit less
    own = keras.layers.Dense.from_config(config)
    x = own(dense.input)
    kernel, bias = (np.asarray(keras.ops.convert_to_numpy(weight), np.float64) for weight in (dense.kernel, dense.bias))
    if calibration.method == "isotonic":
        own.set_weights([kernel, bias])
        x = _curved(x, task=task, calibration=calibration)
    else:
        if task == "multiclass":  # scales are of logits less their mean over the classes
            kernel, bias = kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()
        scale, shift = np.array(calibration.scale), np.array(calibration.shift)
        own.set_weights([kernel * scale, bias * scale + shift])
        x = cumulative(x) if task == "ordinal" else x
    return keras.Model(network.input, x, name=f"{network.name}_calibrated")


def _curved(x: keras.KerasTensor, *, task: Task, calibration: Calibration) -> keras.KerasTensor:
    """Isotonic curves of the probabilities that the dense layer says; ordinal: of conditional ones."""
    ops = keras.ops
    x = _piecewise_linear(x, calibration)
    if task == "ordinal":
        return cumulative(ops.log(ops.maximum(x, _SMALLEST)))
    if task == "multiclass":
        x = x / ops.sum(x, axis=-1, keepdims=True)
    return keras.layers.Activation("linear", dtype="float32", name="calibrated")(x)


def _piecewise_linear(x: keras.KerasTensor, calibration: Calibration) -> keras.KerasTensor:
    """Sum of what each piece has risen by: its terms are never negative, so that single precision loses nothing."""
    ops = keras.ops
    longest = max(len(knots) for knots in calibration.knots)
    padded = [[*knots, *[knots[-1]] * (longest - len(knots))] for knots in calibration.knots]
    at, height = np.moveaxis(np.array(padded, np.float64), 2, 0)  # (outputs, longest) each
    width = np.diff(at, axis=1)
    steepness = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
    pieces = keras.layers.Reshape((len(padded), 1), dtype="float32", name="pieces")(x)
    risen = ops.clip((pieces - at[:, :-1].astype(np.float32)) * steepness.astype(np.float32), 0.0, 1.0)
    risen = ops.sum(risen * np.diff(height, axis=1).astype(np.float32), axis=-1)
    return risen + height[:, 0].astype(np.float32)
