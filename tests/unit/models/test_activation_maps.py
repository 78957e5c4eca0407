"""Maps of where a network looks, by gradients and without."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from medexp.models.activation_maps import ActivationMaps
from medexp.models.gradcam import gradcam
from medexp.models.last_dense import last_dense
from medexp.models.serving import serving_model
from medexp.models.simple_cnn import simple_cnn
from medexp.types import DataSpec, InputSpec

SPEC = DataSpec("d", "multiclass", ("a", "b", "c"), InputSpec(16, 24, 1), {}, "", "")
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 1), dtype=np.uint8)


def with_hidden_layer() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 24, 1))
    x = keras.layers.Conv2D(4, 3, strides=4, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dense(6, activation="tanh")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, keras.layers.Dense(2, activation="sigmoid", name="probabilities")(x))


def test_without_a_hidden_layer_they_are_the_class_activation_maps_that_are_served() -> None:
    network = simple_cnn(SPEC, filters=[4, 8])
    maps = ActivationMaps(network)
    wanted = np.asarray(serving_model(network, task="multiclass")(IMAGES.astype(np.float32), training=False)["map"])
    assert maps.method == "cam"
    assert np.abs(maps(IMAGES) - wanted).max() < 1e-5


def test_with_a_hidden_layer_channels_weigh_what_the_logit_gains_by_them() -> None:
    network = with_hidden_layer()
    maps = ActivationMaps(network)
    assert maps.method == "gradcam"
    last = keras.Model(network.input, [network.get_layer("conv").output, network.get_layer("pool").output])
    features, pooled = (np.asarray(each, np.float64) for each in last(IMAGES.astype(np.float32), training=False))
    middle, dense = network.layers[-2], last_dense(network)

    def logits(at: np.ndarray) -> np.ndarray:
        inner = np.tanh(at @ np.asarray(middle.kernel, np.float64) + np.asarray(middle.bias))
        return inner @ np.asarray(dense.kernel, np.float64) + np.asarray(dense.bias)

    step = 1e-5
    slopes = [(logits(pooled + step * unit) - logits(pooled - step * unit)) / (2 * step) for unit in np.eye(4)]
    wanted = np.einsum("nrck,kno->nrco", features, np.array(slopes))
    found = maps(IMAGES)
    assert found.shape == wanted.shape == (5, 4, 6, 2)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_images_of_sixteen_bits_have_the_maps_of_eight() -> None:
    maps = ActivationMaps(simple_cnn(SPEC, filters=[4, 8]))
    assert np.abs(maps(IMAGES.astype(np.uint16) * 257) - maps(IMAGES)).max() < 1e-5


def test_more_images_than_a_batch_keep_their_order() -> None:
    maps = ActivationMaps(simple_cnn(SPEC, filters=[4, 8]))
    many = np.tile(IMAGES, (15, 1, 1, 1))
    assert np.abs(maps(many) - np.tile(maps(IMAGES), (15, 1, 1, 1))).max() < 1e-5


def test_weights_that_change_are_followed() -> None:
    network = simple_cnn(SPEC, filters=[4, 8])
    maps = ActivationMaps(network)
    before = maps(IMAGES)
    dense = last_dense(network)
    dense.set_weights([-2 * np.asarray(dense.kernel), np.asarray(dense.bias)])
    assert np.abs(maps(IMAGES) + 2 * before).max() < 1e-5


def test_gradients_of_another_backend_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    from medexp.errors import ConfigError

    network = with_hidden_layer()
    monkeypatch.setattr(keras.backend, "backend", lambda: "other")
    with pytest.raises(ConfigError, match=r"Received: runtime\.backend=other.*evaluation\.saliency=false"):
        gradcam(network, np.zeros((1, 4, 6, 4), np.float32))
