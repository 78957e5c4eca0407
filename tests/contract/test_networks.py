"""What every network of conf/model keeps, whatever it is inside."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
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
FINDINGS = DataSpec("d", "multilabel", ("a", "b", "c", "d"), InputSpec(32, 32, 1), {}, "", "")
GRADES = DataSpec("d", "ordinal", ("none", "mild", "severe"), InputSpec(32, 32, 1), {}, "", "")
Built = Callable[[str, DataSpec], keras.Model]
SPECS = [BINARY, COLOUR, FINDINGS, GRADES]
SLOW = {"efficientnet"}  # ten seconds to build, and more than that to export


def specs(spec: DataSpec) -> str:
    return spec.task


def cases(*, fast: str | None) -> list[object]:
    """Every network with every task; the large ones are slow, but for one task."""
    return [
        pytest.param(
            name, spec, id=f"{name}-{spec.task}", marks=[pytest.mark.slow] * (name in SLOW and spec.task != fast)
        )
        for name in MODELS
        for spec in SPECS
    ]


def targets(spec: DataSpec, count: int = 6) -> np.ndarray:
    """As batches hold them."""
    labels = np.arange(count) % len(spec.class_names)
    if spec.task == "binary":
        return labels[:, np.newaxis].astype(np.float32)
    if spec.task == "ordinal":
        return (labels[:, np.newaxis] > np.arange(spec.outputs)).astype(np.float32)
    one_hot = np.eye(len(spec.class_names), dtype=np.float32)[labels]
    return one_hot if spec.task == "multiclass" else np.maximum(one_hot, np.roll(one_hot, 1, axis=0))


def build(name: str, spec: DataSpec) -> keras.Model:
    keras.utils.set_random_seed(0)
    node = OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{name}.yaml"))
    return instantiate("model", node)(spec)


def images(spec: DataSpec, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *spec.input.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Gives the untrained network of a name for a task, built once."""
    kept: dict[tuple[str, str], keras.Model] = {}

    def get(name: str, spec: DataSpec) -> keras.Model:
        if (name, spec.task) not in kept:
            kept[name, spec.task] = build(name, spec)
        return kept[name, spec.task]

    keras.config.set_dtype_policy("float32")
    yield get
    keras.utils.clear_session()


def test_all_networks_are_tested() -> None:
    assert MODELS == ["efficientnet", "simple_cnn"], "a network came or went: change this list"


@pytest.mark.parametrize(("name", "spec"), cases(fast="ordinal"))
def test_images_become_float32_probabilities(name: str, spec: DataSpec, built: Built) -> None:
    found = built(name, spec)(images(spec), training=False)
    probabilities = keras.ops.convert_to_numpy(found)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert probabilities.shape == (6, spec.outputs)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if spec.task == "multiclass":
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)
    if spec.task == "ordinal":
        assert (np.diff(probabilities, axis=1) <= 0).all()


@pytest.mark.parametrize(("name", "spec"), cases(fast="ordinal"))
def test_it_is_functional_and_flat_and_takes_images_as_they_are(name: str, spec: DataSpec, built: Built) -> None:
    network = built(name, spec)
    assert "input_layers" in network.get_config()
    assert not [layer.name for layer in network.layers if isinstance(layer, (keras.Model, keras.layers.Lambda))]
    assert network.input_shape == (None, *spec.input.shape)
    assert network.layers[-1].name == "probabilities"
    assert network.name == name


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_float32_in_mixed_precision(name: str) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(name, GRADES)
    finally:
        keras.config.set_dtype_policy("float32")
    *_, dropout, conditional, probabilities = network.layers
    assert (dropout.compute_dtype, conditional.compute_dtype, probabilities.compute_dtype) == (
        "bfloat16",
        "float32",
        "float32",
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_its_weights(name: str) -> None:
    for first, second in zip(build(name, BINARY).weights, build(name, BINARY).weights, strict=True):
        assert (keras.ops.convert_to_numpy(first) == keras.ops.convert_to_numpy(second)).all()


@pytest.mark.parametrize(("name", "spec"), cases(fast="multilabel"))
def test_it_learns_a_batch(name: str, spec: DataSpec) -> None:
    keras.utils.set_random_seed(0)
    network = build(name, spec)
    recipe = ClassifierModule(
        network=lambda _: network,
        optimizer=instantiate("o", {"_target_": "keras.optimizers.Adam", "_partial_": True, "learning_rate": 3e-3}),
        schedule=lambda learning_rate, total_steps: learning_rate,
    )
    network.compile(**recipe.compile_args(spec, total_steps=8), run_eagerly=True)
    losses = [network.train_on_batch(images(spec), targets(spec), return_dict=True) for _ in range(8)]
    assert min(row["loss"] for row in losses[4:]) < 0.8 * losses[0]["loss"]
    assert {"loss", "accuracy", "auc"} == set(losses[0])


@pytest.mark.parametrize(("name", "spec"), cases(fast="ordinal"))
def test_it_loads_as_it_was_saved_with_stock_keras(name: str, spec: DataSpec, built: Built, tmp_path: Path) -> None:
    model = class_probabilities(built(name, spec), task=spec.task)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    before, after = (np.asarray(each(images(spec), training=False)) for each in (model, loaded))
    assert (before == after).all()
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert b"medexp" not in archive.read("config.json")


@pytest.mark.parametrize(("name", "spec"), cases(fast="ordinal"))
def test_its_weights_fit_a_network_built_anew(name: str, spec: DataSpec, built: Built, tmp_path: Path) -> None:
    built(name, spec).save_weights(tmp_path / "w.weights.h5")
    keras.utils.set_random_seed(1)
    node = OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{name}.yaml"))
    again = instantiate("model", node)(spec)
    again.load_weights(tmp_path / "w.weights.h5")
    before, after = (np.asarray(model(images(spec), training=False)) for model in (built(name, spec), again))
    assert (before == after).all()


@pytest.mark.parametrize(("name", "spec"), cases(fast=None))
def test_its_litert_graph_says_what_keras_says(name: str, spec: DataSpec, tmp_path: Path) -> None:
    model = class_probabilities(build(name, spec), task=spec.task)
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    engine = LiteRtEngine(tmp_path / "model.tflite")
    wanted = np.asarray(model(images(spec), training=False))
    assert wanted.shape == (6, len(spec.class_names))
    for rows in (slice(0, 6), slice(2, 3)):
        assert np.abs(engine(images(spec)[rows]) - wanted[rows]).max() <= 1e-5
