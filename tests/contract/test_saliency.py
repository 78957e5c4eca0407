"""Where every network of conf/model looks, in the graph that is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from medexp.config.instantiate import instantiate
from medexp.config.register import CONF, register
from medexp.models.activation_maps import ActivationMaps
from medexp.models.class_probabilities import class_probabilities
from medexp.models.feature_map import feature_map
from medexp.models.gradcam import gradcam
from medexp.models.last_dense import last_dense
from medexp.models.randomised import cascade
from medexp.models.serving import feature_extractor, head, serving_model
from medexp.types import DataSpec, InputSpec

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
SPECS = [
    DataSpec("d", "binary", ("no", "yes"), InputSpec(32, 32, 1), {}, "", ""),
    DataSpec("d", "multiclass", ("a", "b", "c"), InputSpec(40, 48, 3), {}, "", ""),
    DataSpec("d", "multilabel", ("a", "b", "c", "d"), InputSpec(32, 32, 1), {}, "", ""),
    DataSpec("d", "ordinal", ("none", "mild", "severe"), InputSpec(32, 32, 1), {}, "", ""),
]
BUILT = {"simple_cnn", "resnet_small", "mobilenet", "vit_tiny"}  # to build: the others are slow
QUICK = {"simple_cnn", "resnet_small"}  # to save, and to build again and again: the others are slow
Built = Callable[[str, DataSpec], keras.Model]


def cases(quick: set[str] = QUICK) -> list[object]:
    """Every network with every task; most are slow: one task of a quick network is not."""
    found = []
    for place, name in enumerate(MODELS):
        for spec in SPECS:
            fast = name in quick and (name == "simple_cnn" or spec is SPECS[place % 4])
            found.append(pytest.param(name, spec, id=f"{name}-{spec.task}", marks=[] if fast else [pytest.mark.slow]))
    return found


def images(spec: DataSpec, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *spec.input.shape)).astype(np.float32)


def asked(model: keras.Model, batch: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in model(batch, training=False).items()}


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Gives the network of a name for a task as a training composes it, built once, its last bias not zero."""
    register()
    kept: dict[tuple[str, str], keras.Model] = {}

    def get(name: str, spec: DataSpec) -> keras.Model:
        if (name, spec.task) not in kept:
            keras.utils.set_random_seed(0)
            with initialize_config_dir(str(CONF), version_base="1.3"):
                node = OmegaConf.to_container(compose("train", overrides=[f"model={name}"]).model, resolve=True)
            network = kept[name, spec.task] = instantiate("model", node)(spec)
            last_dense(network).bias.assign(np.linspace(-0.5, 0.5, spec.outputs))
        return kept[name, spec.task]

    keras.config.set_dtype_policy("float32")
    yield get
    keras.utils.clear_session()


@pytest.mark.parametrize(("name", "spec"), cases(BUILT))
def test_its_class_activation_map_is_its_gradcam(name: str, spec: DataSpec, built: Built) -> None:
    network = built(name, spec)
    found = asked(serving_model(network, task=spec.task), images(spec))
    place = keras.Model(network.input, network.get_layer(feature_map(network)).output)
    by_gradients = gradcam(network, np.asarray(place(images(spec), training=False)))
    assert by_gradients.shape == found["map"].shape == (6, *place.output.shape[1:3], spec.outputs)
    assert np.ptp(found["map"]) > 0
    assert np.abs(found["map"] - by_gradients).max() < 1e-4 * np.abs(by_gradients).max()


@pytest.mark.parametrize(("name", "spec"), cases())
def test_its_serving_graph_says_what_it_says_by_itself(name: str, spec: DataSpec, built: Built, tmp_path: Path) -> None:
    network = built(name, spec)
    serving = serving_model(network, task=spec.task)
    serving.save(tmp_path / "serving.keras")
    loaded = keras.saving.load_model(tmp_path / "serving.keras", compile=False, safe_mode=True)
    found = asked(loaded, images(spec))
    wanted = np.asarray(class_probabilities(network, task=spec.task)(images(spec), training=False))
    features = np.asarray(feature_extractor(network)(images(spec), training=False))
    assert np.abs(found["probabilities"] - wanted).max() < 1e-6
    assert np.abs(found["features"] - features).max() <= 1e-5 * np.abs(features).max()
    assert np.abs(np.asarray(head(network, task=spec.task)(features)) - wanted).max() < 1e-6


@pytest.mark.parametrize(("name", "spec"), cases({"simple_cnn"}))
def test_its_exported_graph_gives_all_three(name: str, spec: DataSpec, built: Built, tmp_path: Path) -> None:
    serving = serving_model(built(name, spec), task=spec.task)
    serving.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    graph = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner("serving_default")
    (argument,) = graph.get_input_details()
    for count in (6, 1):
        found = graph(**{argument: images(spec, count)})
        wanted = asked(serving, images(spec, count))
        assert set(found) == set(wanted)
        for output, values in wanted.items():
            assert np.abs(found[output] - values).max() <= 1e-5 + 1e-3 * np.abs(values).max(), output


@pytest.mark.parametrize(("name", "spec"), cases())
def test_its_map_changes_when_it_forgets(name: str, spec: DataSpec, built: Built) -> None:
    network = built(name, spec)
    before = ActivationMaps(network)(images(spec))
    maps = None
    for step in cascade(network, shares=[0, 1], seeds=[0]):
        maps = maps or ActivationMaps(step.network)
        found = maps(images(spec))
        assert found.shape == before.shape
        assert np.isfinite(found).all()
        assert np.abs(found - before).max() > 0.1 * np.abs(before).max()
    assert (ActivationMaps(network)(images(spec)) == before).all()
