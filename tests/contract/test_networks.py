"""What every network of conf/model keeps, whatever it is inside."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from medexp.config.instantiate import instantiate
from medexp.config.register import CONF, register
from medexp.errors import ConfigError
from medexp.models.class_probabilities import class_probabilities
from medexp.models.feature_map import feature_map
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.serving import serving_model
from medexp.registry.agreement import compare
from medexp.registry.engine.base import Outputs
from medexp.registry.engine.open import KINDS, open_engine
from medexp.registry.graphs import Graphs
from medexp.types import DataSpec, InputSpec

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
BINARY = DataSpec("d", "binary", ("no", "yes"), InputSpec(32, 32, 1), {}, "", "")
COLOUR = DataSpec("d", "multiclass", ("a", "b", "c"), InputSpec(40, 48, 3), {}, "", "")
FINDINGS = DataSpec("d", "multilabel", ("a", "b", "c", "d"), InputSpec(32, 32, 1), {}, "", "")
GRADES = DataSpec("d", "ordinal", ("none", "mild", "severe"), InputSpec(32, 32, 1), {}, "", "")
SPECS = [BINARY, COLOUR, FINDINGS, GRADES]
SMALL = {"simple_cnn"}  # a second for all that is asked of it; of the others, one task is asked without `slow`
BUILT = {"simple_cnn", "resnet_small", "mobilenet", "convnext_tiny", "vit_tiny"}  # to build: the others are slow
QUICK = {"simple_cnn", "resnet_small"}  # to export, or to train: the others are slow
CAREFUL = {"vgg16": 1e-4, "convnext_tiny": 1e-3, "vit_tiny": 3e-4}  # learning rates: they have no batch normalisation
Built = Callable[[str, DataSpec], keras.Model]


def cases(*, quick: set[str] | None = None) -> list[object]:
    """Every network with every task; most are slow: of the `quick` networks, all by default, one task is not."""
    found = []
    for place, name in enumerate(MODELS):
        for spec in SPECS:
            fast = name in SMALL or (spec is SPECS[place % 4] and (quick is None or name in quick))
            found.append(pytest.param(name, spec, id=f"{name}-{spec.task}", marks=[] if fast else [pytest.mark.slow]))
    return found


def networks(*, quick: set[str]) -> list[object]:
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.slow]) for name in MODELS]


def sized(side: int, channels: int) -> DataSpec:
    return DataSpec("d", "binary", ("no", "yes"), InputSpec(side, side, channels), {}, "", "")


def targets(spec: DataSpec, count: int = 6) -> np.ndarray:
    """As batches hold them."""
    labels = np.arange(count) % len(spec.class_names)
    if spec.task == "binary":
        return labels[:, np.newaxis].astype(np.float32)
    if spec.task == "ordinal":
        return (labels[:, np.newaxis] > np.arange(spec.outputs)).astype(np.float32)
    one_hot = np.eye(len(spec.class_names), dtype=np.float32)[labels]
    return one_hot if spec.task == "multiclass" else np.maximum(one_hot, np.roll(one_hot, 1, axis=0))


def network(name: str) -> Callable[[DataSpec], keras.Model]:
    """As a training composes it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        node = OmegaConf.to_container(compose("train", overrides=[f"model={name}"]).model, resolve=True)
    return instantiate("model", node)


def build(name: str, spec: DataSpec) -> keras.Model:
    keras.utils.set_random_seed(0)
    return network(name)(spec)


def images(spec: DataSpec, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *spec.input.shape)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> None:
    register()


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
    assert MODELS == [
        "convnext_tiny", "densenet121", "efficientnet", "efficientnet_v2", "mobilenet", "mobilenet_v1", "resnet18",
        "resnet50", "resnet_small", "simple_cnn", "vgg16", "vit_tiny",
    ], "a network came or went: change this list, and docs/models.md"  # fmt: skip


@pytest.mark.parametrize(("name", "spec"), cases())
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


@pytest.mark.parametrize(("name", "spec"), cases())
def test_it_is_functional_and_flat_and_takes_images_as_they_are(name: str, spec: DataSpec, built: Built) -> None:
    model = built(name, spec)
    assert "input_layers" in model.get_config()
    assert not [layer.name for layer in model.layers if isinstance(layer, (keras.Model, keras.layers.Lambda))]
    assert model.input_shape == (None, *spec.input.shape)
    assert model.layers[-1].name == "probabilities"
    assert model.name == name


@pytest.mark.parametrize(("name", "spec"), cases())
def test_it_names_its_last_feature_map(name: str, spec: DataSpec, built: Built) -> None:
    model = built(name, spec)
    layer = model.get_layer(feature_map(model))
    assert layer.output is model.get_layer("pool").input
    batch, height, width, channels = layer.output.shape
    assert batch is None
    assert 1 <= height <= spec.input.height
    assert 1 <= width <= spec.input.width
    assert channels == model.get_layer("pool").output.shape[1]


@pytest.mark.parametrize("name", networks(quick=BUILT))
def test_probabilities_are_float32_in_mixed_precision(name: str) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name, GRADES)
    finally:
        keras.config.set_dtype_policy("float32")
    *_, dropout, conditional, probabilities = model.layers
    assert (dropout.compute_dtype, conditional.compute_dtype, probabilities.compute_dtype) == (
        "bfloat16",
        "float32",
        "float32",
    )


@pytest.mark.parametrize("name", networks(quick=BUILT))
def test_built_again_it_has_the_same_weights_by_its_seed_and_the_same_names(name: str) -> None:
    one, two = build(name, BINARY), build(name, BINARY)
    for first, second in zip(one.weights, two.weights, strict=True):
        assert (keras.ops.convert_to_numpy(first) == keras.ops.convert_to_numpy(second)).all()
    assert [layer.name for layer in one.layers] == [layer.name for layer in two.layers]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", networks(quick={"simple_cnn", "vgg16", "mobilenet_v1", "vit_tiny"}))
def test_the_smallest_images_are_those_that_it_says(name: str, channels: int) -> None:
    try:
        build(name, sized(1, channels))
        smallest = 1
    except ConfigError as error:
        smallest = int(re.findall(r"takes images of (\d+) x", str(error))[0])
    if smallest > 1:
        with pytest.raises(ConfigError, match=rf"Override: data\.input\.height={smallest} data\.input\.width"):
            build(name, sized(smallest - 1, channels))
    spec = sized(smallest, channels)
    assert np.isfinite(build(name, spec)(images(spec), training=False)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_images_may_be_large_and_of_odd_sizes(name: str) -> None:
    spec = DataSpec("d", "binary", ("no", "yes"), InputSpec(131, 97, 3), {}, "", "")
    model = build(name, spec)
    assert np.isfinite(model(images(spec, 2), training=False)).all()
    assert min(model.get_layer(feature_map(model)).output.shape[1:3]) > 1


@pytest.mark.parametrize(("name", "spec"), cases(quick=QUICK))
def test_it_learns_a_batch(name: str, spec: DataSpec) -> None:
    model = build(name, spec)
    recipe = ClassifierModule(
        network=lambda _: model,
        loss=cross_entropy,
        optimizer=partial(keras.optimizers.Adam, learning_rate=CAREFUL.get(name, 3e-3)),
        schedule=lambda learning_rate, total_steps, steps_per_epoch: learning_rate,
    )
    steps = 24 if name == "vgg16" else 8  # which has neither shortcuts nor normalisation
    model.compile(**recipe.compile_args(spec, model, total_steps=steps, steps_per_epoch=steps), run_eagerly=True)
    losses = [model.train_on_batch(images(spec), targets(spec), return_dict=True) for _ in range(steps)]
    assert min(row["loss"] for row in losses[4:]) < 0.8 * losses[0]["loss"]
    assert {"loss", "accuracy", "auc"} == set(losses[0])


@pytest.mark.parametrize(("name", "spec"), cases(quick={"simple_cnn", "convnext_tiny", "vit_tiny"}))
def test_it_loads_as_it_was_saved_with_stock_keras(name: str, spec: DataSpec, built: Built, tmp_path: Path) -> None:
    model = class_probabilities(built(name, spec), task=spec.task)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    before, after = (np.asarray(each(images(spec), training=False)) for each in (model, loaded))
    assert (before == after).all()
    assert feature_map(loaded) == feature_map(built(name, spec))
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert b"medexp" not in archive.read("config.json")


@pytest.mark.parametrize(("name", "spec"), cases(quick=QUICK))
def test_its_weights_fit_a_network_built_anew(name: str, spec: DataSpec, built: Built, tmp_path: Path) -> None:
    built(name, spec).save_weights(tmp_path / "w.weights.h5")
    keras.utils.set_random_seed(1)
    again = network(name)(spec)
    again.load_weights(tmp_path / "w.weights.h5")
    before, after = (np.asarray(model(images(spec), training=False)) for model in (built(name, spec), again))
    assert (before == after).all()


@pytest.mark.parametrize(("name", "spec"), cases(quick=set()))
def test_each_of_its_graphs_says_what_keras_says(name: str, spec: DataSpec, tmp_path: Path) -> None:
    model = serving_model(build(name, spec), task=spec.task)
    said = {key: np.asarray(tensor) for key, tensor in model(images(spec), training=False).items()}
    wanted = Outputs(said["probabilities"], said["features"], said["map"])
    assert wanted.probabilities.shape == (6, len(spec.class_names))
    thresholds = dict.fromkeys(spec.class_names if spec.task == "multilabel" else (), 0.5)
    why_not = {}
    with Graphs(model) as graphs:
        for kind in KINDS:
            engine = open_engine(kind, graphs.write(kind, tmp_path))
            found = compare(engine, wanted, images(spec), data=spec, thresholds=thresholds)
            why_not[kind] = found.why_not
    if said["map"].shape[1:3] == (1, 1):  # tf2onnx loses the axes of some: such a graph is not shipped
        assert why_not.pop("onnx") in (None, "class activation maps differ")
    assert set(why_not.values()) == {None}
