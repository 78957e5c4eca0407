"""One graph for all that is asked of a trained network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.models.calibrated import calibrated
from medexp.models.class_probabilities import class_probabilities
from medexp.models.last_dense import last_dense
from medexp.models.serving import feature_extractor, head, linear_weights, serving_model
from medexp.models.simple_cnn import simple_cnn
from medexp.types import Calibration, DataSpec, InputSpec, Task

NAMES = ("none", "mild", "severe")
TASKS: list[Task] = ["binary", "multiclass", "multilabel", "ordinal"]


def spec_of(task: Task) -> DataSpec:
    return DataSpec("d", task, NAMES[:2] if task == "binary" else NAMES, InputSpec(16, 24, 1), {}, "", "")


def trained(task: Task) -> keras.Model:
    """A network with weights that are not those of a beginning."""
    keras.utils.set_random_seed(1)
    network = simple_cnn(spec_of(task), filters=[4, 8])
    draw = np.random.default_rng(0)
    network.set_weights([w + draw.uniform(0, 0.3, w.shape) for w in network.get_weights()])
    return network


def images(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 16, 24, 1)).astype(np.float32)


def asked(model: keras.Model, *inputs: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in model(*inputs, training=False).items()}


def hidden(*between: keras.layers.Layer) -> keras.Model:
    """A network with other layers between pooling and logits."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Conv2D(6, 3, name="conv")(image))
    for layer in between:
        x = layer(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probabilities")(x), name="other")


@pytest.mark.parametrize("task", TASKS)
def test_one_pass_gives_probabilities_features_and_a_map_for_each_unit(task: Task) -> None:
    network, spec = trained(task), spec_of(task)
    found = asked(serving_model(network, task=task), images())
    assert {name: (value.shape, value.dtype.name) for name, value in found.items()} == {
        "probabilities": ((5, len(spec.class_names)), "float32"),
        "features": ((5, 8), "float32"),
        "map": ((5, 4, 6, spec.outputs), "float32"),
    }
    wanted = np.asarray(class_probabilities(network, task=task)(images(), training=False))
    assert (found["probabilities"] == wanted).all()
    pooled = keras.Model(network.input, network.get_layer("pool").output)(images(), training=False)
    assert (found["features"] == np.asarray(pooled)).all()


@pytest.mark.parametrize("task", TASKS)
def test_the_mean_of_a_map_and_the_bias_are_the_logit(task: Task) -> None:
    network = trained(task)
    found = asked(serving_model(network, task=task), images())
    logits = found["map"].mean(axis=(1, 2)) + np.asarray(last_dense(network).bias)
    said = np.asarray(network(images(), training=False))
    if task == "multiclass":
        wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    else:
        wanted = 1 / (1 + np.exp(-logits))
        wanted = wanted.cumprod(axis=1) if task == "ordinal" else wanted
    assert np.abs(said - wanted).max() < 1e-5


@pytest.mark.parametrize("task", TASKS)
def test_the_two_halves_of_a_network_make_the_whole(task: Task) -> None:
    network = trained(task)
    features = feature_extractor(network).predict(images(), verbose=0)
    wanted = np.asarray(class_probabilities(network, task=task)(images(), training=False))
    assert np.abs(np.asarray(head(network, task=task)(features)) - wanted).max() < 1e-6


@pytest.mark.parametrize("method", ["vector", "isotonic"])
@pytest.mark.parametrize("task", TASKS)
def test_a_calibrated_network_is_served_with_its_calibration(task: Task, method: str) -> None:
    network, units = trained(task), spec_of(task).outputs
    knots = ((0.0, 0.1), (0.5, 0.3), (1.0, 0.9))
    calibration = (
        Calibration("vector", scale=(0.5,) * units, shift=(0.25,) * units)
        if method == "vector"
        else Calibration("isotonic", knots=(knots,) * units)
    )
    ready = calibrated(network, task=task, calibration=calibration)
    found = asked(serving_model(ready, task=task), images())
    wanted = np.asarray(class_probabilities(ready, task=task)(images(), training=False))
    assert np.abs(found["probabilities"] - wanted).max() < 1e-6
    before = asked(serving_model(network, task=task), images())
    assert (found["features"] == before["features"]).all()
    unscaled = before["map"]
    if task == "multiclass" and method == "vector":  # calibrated logits are those less their mean
        unscaled = unscaled - unscaled.mean(axis=-1, keepdims=True)
    factor = 0.5 if method == "vector" else 1
    assert np.abs(found["map"] - factor * unscaled).max() < 1e-3 * np.abs(unscaled).max()
    if task != "multiclass" or method == "isotonic":
        assert np.abs(found["probabilities"] - before["probabilities"]).max() > 0.01


def test_it_loads_with_stock_keras_in_safe_mode(tmp_path: Path) -> None:
    model = serving_model(trained("ordinal"), task="ordinal")
    model.save(tmp_path / "serving.keras")
    loaded = keras.saving.load_model(tmp_path / "serving.keras", compile=False, safe_mode=True)
    before, after = asked(model, images()), asked(loaded, images())
    assert all((before[name] == after[name]).all() for name in before)
    assert set(after) == {"probabilities", "features", "map"}


def test_asking_for_it_leaves_the_network_as_it_was() -> None:
    network = trained("binary")
    before, names = network.get_weights(), [layer.name for layer in network.layers]
    serving_model(network, task="binary")
    assert all((old == new).all() for old, new in zip(before, network.get_weights(), strict=True))
    assert [layer.name for layer in network.layers] == names


def test_linear_layers_before_the_last_one_count_as_part_of_it() -> None:
    norm = keras.layers.BatchNormalization(name="norm")
    network = hidden(keras.layers.Dense(5, name="first"), keras.layers.Dropout(0.5), norm)
    norm.set_weights([np.full(5, value) for value in (2.0, 0.5, 0.1, 4.0)])
    found = asked(serving_model(network, task="multiclass"), images(3)[:, :8, :8])
    first, dense = network.get_layer("first"), last_dense(network)
    steepness = 2 / np.sqrt(4 + norm.epsilon)
    wanted = np.asarray(first.kernel) * steepness @ np.asarray(dense.kernel)
    assert np.abs(np.asarray(linear_weights(network)) - wanted).max() < 1e-5
    assert found["map"].shape == (3, 6, 6, 3)


def test_there_is_no_class_activation_map_where_a_hidden_layer_is_not_linear() -> None:
    network = hidden(keras.layers.Dense(5, activation="relu"))
    assert linear_weights(network) is None
    found = asked(serving_model(network, task="multiclass"), images(3)[:, :8, :8])
    assert set(found) == {"probabilities", "features"}


@pytest.mark.parametrize("asked_of", [feature_extractor, lambda n: head(n, task="binary"),
                                      lambda n: serving_model(n, task="binary")])  # fmt: skip
def test_a_network_without_its_head_is_told_what_it_lacks(asked_of: object) -> None:
    image = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten(name="flat")(image)
    network = keras.Model(image, keras.layers.Dense(1, name="probabilities")(flat), name="flat_net")
    with pytest.raises(ConfigError, match=r"no global average pooling named pool.*flat_net.*classification_head"):
        asked_of(network)  # type: ignore[operator]


def test_a_network_without_its_last_layer_is_told_what_it_lacks() -> None:
    image = keras.Input((8, 8, 1))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Conv2D(2, 3)(image))
    network = keras.Model(image, keras.layers.Dense(1, name="answer")(pooled), name="named_otherwise")
    with pytest.raises(ConfigError, match=r"no dense layer named conditional or probabilities.*ends in .*answer"):
        serving_model(network, task="binary")
