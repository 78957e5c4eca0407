"""What every network of conf/model keeps, whatever it is inside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from medexp.config.instantiate import instantiate
from medexp.config.register import CONF
from medexp.models.class_probabilities import class_probabilities
from medexp.models.module import ClassifierModule
from medexp.registry.engine import LiteRtEngine
from medexp.types import DataSpec, InputSpec

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
BINARY = DataSpec("d", "binary", ("no", "yes"), InputSpec(32, 32, 1), {}, "", "")
COLOUR = DataSpec("d", "multiclass", ("a", "b", "c"), InputSpec(40, 48, 3), {}, "", "")
SPECS = [BINARY, COLOUR]
SLOW = {"efficientnet"}  # more than ten seconds for an export


def specs(spec: DataSpec) -> str:
    return spec.task


def build(name: str, spec: DataSpec) -> keras.Model:
    keras.utils.set_random_seed(0)
    node = OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{name}.yaml"))
    return instantiate("model", node)(spec)


def images(spec: DataSpec, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *spec.input.shape)).astype(np.float32)


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def networks(name: str) -> Iterator[dict[str, keras.Model]]:
    """The untrained network for each task."""
    keras.config.set_dtype_policy("float32")
    yield {spec.task: build(name, spec) for spec in SPECS}
    keras.utils.clear_session()


def test_all_networks_are_tested() -> None:
    assert MODELS == ["efficientnet", "simple_cnn"], "a network came or went: change this list"


@pytest.mark.parametrize("spec", SPECS, ids=specs)
def test_images_become_float32_probabilities(spec: DataSpec, networks: dict[str, keras.Model]) -> None:
    found = networks[spec.task](images(spec), training=False)
    probabilities = keras.ops.convert_to_numpy(found)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert probabilities.shape == (6, spec.outputs)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if spec.task == "multiclass":
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=specs)
def test_it_is_functional_and_flat_and_takes_images_as_they_are(
    spec: DataSpec, networks: dict[str, keras.Model]
) -> None:
    network = networks[spec.task]
    assert "input_layers" in network.get_config()
    assert not [layer.name for layer in network.layers if isinstance(layer, keras.Model)]
    assert network.input_shape == (None, *spec.input.shape)
    assert network.layers[-1].name == "probabilities"


def test_it_has_the_name_of_its_file(name: str, networks: dict[str, keras.Model]) -> None:
    assert {network.name for network in networks.values()} == {name}


def test_it_has_no_lambda_layer(networks: dict[str, keras.Model]) -> None:
    assert not [layer for layer in networks["binary"].layers if isinstance(layer, keras.layers.Lambda)]


def test_probabilities_are_float32_in_mixed_precision(name: str) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(name, BINARY)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (network.layers[-1].compute_dtype, network.layers[-2].compute_dtype) == ("float32", "bfloat16")


def test_the_seed_decides_its_weights(name: str) -> None:
    for first, second in zip(build(name, BINARY).weights, build(name, BINARY).weights, strict=True):
        assert (keras.ops.convert_to_numpy(first) == keras.ops.convert_to_numpy(second)).all()


@pytest.mark.parametrize("spec", SPECS, ids=specs)
def test_it_learns_a_batch(name: str, spec: DataSpec) -> None:
    keras.utils.set_random_seed(0)
    network = build(name, spec)
    recipe = ClassifierModule(
        network=lambda _: network,
        optimizer=instantiate("o", {"_target_": "keras.optimizers.Adam", "_partial_": True, "learning_rate": 3e-3}),
        schedule=lambda learning_rate, total_steps: learning_rate,
    )
    network.compile(**recipe.compile_args(spec, total_steps=8), run_eagerly=True)
    labels = np.arange(6) % len(spec.class_names)
    targets = labels[:, np.newaxis] if spec.task == "binary" else np.eye(3)[labels]
    losses = [network.train_on_batch(images(spec), targets.astype(np.float32), return_dict=True) for _ in range(8)]
    assert min(row["loss"] for row in losses[4:]) < 0.8 * losses[0]["loss"]
    assert {"loss", "accuracy", "auc"} == set(losses[0])


@pytest.mark.parametrize("spec", SPECS, ids=specs)
def test_it_loads_as_it_was_saved_with_stock_keras(
    spec: DataSpec, networks: dict[str, keras.Model], tmp_path: Path
) -> None:
    network = networks[spec.task]
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    before, after = (np.asarray(model(images(spec), training=False)) for model in (network, loaded))
    assert (before == after).all()


@pytest.mark.parametrize("spec", SPECS, ids=specs)
def test_its_weights_fit_a_network_built_anew(
    name: str, spec: DataSpec, networks: dict[str, keras.Model], tmp_path: Path
) -> None:
    networks[spec.task].save_weights(tmp_path / "w.weights.h5")
    keras.utils.set_random_seed(1)
    node = OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{name}.yaml"))
    again = instantiate("model", node)(spec)
    again.load_weights(tmp_path / "w.weights.h5")
    before, after = (np.asarray(model(images(spec), training=False)) for model in (networks[spec.task], again))
    assert (before == after).all()


@pytest.mark.parametrize("spec", SPECS, ids=specs)
@pytest.mark.parametrize("exported", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODELS])
def test_its_litert_graph_says_what_keras_says(exported: str, spec: DataSpec, tmp_path: Path) -> None:
    model = class_probabilities(build(exported, spec))
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    found = LiteRtEngine(tmp_path / "model.tflite")(images(spec))
    wanted = np.asarray(model(images(spec), training=False))
    assert wanted.shape == (6, len(spec.class_names))
    assert np.abs(found - wanted).max() <= 1e-5


@pytest.mark.parametrize("spec", SPECS, ids=specs)
def test_two_probabilities_of_a_binary_task_add_up_and_the_second_is_the_networks(
    spec: DataSpec, networks: dict[str, keras.Model]
) -> None:
    network = networks[spec.task]
    both = np.asarray(class_probabilities(network)(images(spec), training=False))
    own = np.asarray(network(images(spec), training=False))
    assert both.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (both[:, -own.shape[1] :] == own).all()
