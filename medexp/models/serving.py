"""What is asked of a network once it is trained, in one graph and one pass."""

from __future__ import annotations

import keras
import numpy as np

from medexp.models.class_probabilities import class_probabilities
from medexp.models.feature_map import feature_map
from medexp.models.last_dense import last_dense
from medexp.types import Task

PROBABILITIES, FEATURES, MAP = "probabilities", "features", "map"  # the outputs of `serving_model`
_PROBES, _LINEAR = 8, 1e-4  # points that a head is tried at, and how far from linear, of its largest logit


def feature_extractor(network: keras.Model) -> keras.Model:
    """Return the part of `network` from an image to its pooled features, `float32`, (batch, d). Layers are shared.

    `head(network, task=task)(feature_extractor(network)(images))` is `class_probabilities(network, task=task)(images)`.

    Raises:
        ConfigError: the network does not end with `classification_head`; says what is missing.
    """
    return keras.Model(network.input, _features(network), name=f"{network.name}_features")


def head(network: keras.Model, *, task: Task) -> keras.Model:
    """Return a model from the pooled features of `network` (batch, d) to a probability for each class (batch, classes).

    Layers are shared. So images that have passed through the network once need no second pass for another calibration.

    Args:
        network: as trained, or `calibrated`: it ends with `classification_head`, and has its outputs.
        task: what kind of labels.

    Raises:
        ConfigError: the network does not end so; says what is missing.
    """
    feature_map(network)
    classes = class_probabilities(network, task=task).output
    return keras.Model(network.get_layer("pool").output, classes, name=f"{network.name}_head")


def serving_model(network: keras.Model, *, task: Task) -> keras.Model:
    """Return a model that shares the layers of `network` and gives all that serving needs in one pass.

    The class activation map is the last feature map times the weights of the last layer (Zhou et al., CVPR 2016): its
    mean over places is the logit without the bias, and it equals Grad-CAM of the logit without Grad-CAM's last ReLU
    (Selvaraju et al., ICCV 2017, section 3.1), for what lies between pooling and logit is linear. Above 0 speaks for
    the output, below 0 against it.

    Args:
        network: as trained, or `calibrated`: it ends with `classification_head`, and has its outputs.
        task: what kind of labels.

    Returns:
        A model with stock layers only, and a dictionary of `float32` outputs:

        - `probabilities` (batch, classes): what `class_probabilities` makes of the network's output.
        - `features` (batch, d): pooled, before the last layer.
        - `map` (batch, rows, columns, outputs): a map for each unit of the last layer, as `DataSpec.outputs` counts
          them. **Left out** where a layer between pooling and logits is not linear, for there is no such map then
          (`gradcam` has one, by gradients).

    Raises:
        ConfigError: the network does not end with `classification_head`; says what is missing.
    """
    place = network.get_layer(feature_map(network))
    outputs = {PROBABILITIES: class_probabilities(network, task=task).output, FEATURES: _features(network)}
    weights = linear_weights(network)
    if weights is not None:
        layer = keras.layers.Conv2D(weights.shape[1], 1, use_bias=False, dtype="float32", name="activation_map")
        outputs[MAP] = layer(place.output)
        layer.set_weights([weights[np.newaxis, np.newaxis]])
    return keras.Model(network.input, outputs, name=f"{network.name}_serving")


def linear_weights(network: keras.Model) -> np.ndarray | None:
    """Return how much each pooled feature adds to each logit, (d, outputs); None where that depends on the image.

    It is found by asking: what lies between pooling and logits is given every feature alone, and then several at once.
    """
    dense = last_dense(network)
    pooled = network.get_layer("pool").output
    before = keras.Model(pooled, keras.layers.Identity()(dense.input))  # a model needs a layer, even of nothing
    kernel = keras.ops.convert_to_numpy(dense.kernel)

    def logits(features: np.ndarray) -> np.ndarray:
        with keras.device("cpu:0"):  # a GPU may multiply with ten bits of mantissa
            last = keras.ops.convert_to_numpy(before(features.astype(np.float32), training=False))
        return np.asarray(np.asarray(last, np.float32) @ kernel)

    features = int(pooled.shape[-1])
    bias = logits(np.zeros((1, features)))
    weights = logits(np.eye(features)) - bias
    probes = np.random.default_rng(0).normal(0, 2, (_PROBES, features))
    found = logits(probes)
    wrong = np.abs(found - (probes @ weights + bias)).max()
    return weights if wrong <= _LINEAR * max(np.abs(found).max(), 1e-6) else None


def _features(network: keras.Model) -> keras.KerasTensor:
    feature_map(network)
    return keras.layers.Activation("linear", dtype="float32", name="features")(network.get_layer("pool").output)
