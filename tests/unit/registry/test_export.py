from __future__ import annotations

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from bundles import CLASSES, THRESHOLDS, export, export_tiny, network, noise, spec

from medexp.errors import ConfigError, RegistryError
from medexp.models.class_probabilities import class_probabilities
from medexp.models.serving import serving_model
from medexp.models.simple_cnn import simple_cnn
from medexp.registry.agreement import TOLERANCE, compare, milliseconds
from medexp.registry.bundle import Bundle
from medexp.registry.checksum import checksums
from medexp.registry.engine.base import Outputs
from medexp.registry.engine.open import KINDS, open_engine
from medexp.registry.golden import Golden
from medexp.registry.graphs import Graphs
from medexp.types import DataSpec, Estimate, InputSpec, Task

DATA = spec()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network(DATA)


@pytest.fixture(scope="module")
def bundle(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(tmp_path_factory.mktemp("export") / "bundle", model, DATA, engines=tuple(KINDS))


def keras_says(model: keras.Model, images: np.ndarray, task: Task = "binary") -> dict[str, np.ndarray]:
    found = serving_model(model, task=task)(images.astype(np.float32), training=False)
    return {name: np.asarray(tensor) for name, tensor in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_graph_says_what_keras_says(kind: str, bundle: Bundle, model: keras.Model) -> None:
    images = noise(DATA, 20, seed=5)
    wanted, engine = keras_says(model, images), Bundle.open(bundle.path, engine=kind)
    for rows in (slice(0, 20), slice(3, 4), slice(0, 8), slice(0, 20)):  # a batch of any size, in any order
        found = engine.outputs(images[rows])
        assert found.map is not None
        assert {part.dtype for part in (found.probabilities, found.features, found.map)} == {np.dtype("float32")}
        assert np.abs(found.probabilities - wanted["probabilities"][rows]).max() <= TOLERANCE
        assert found.features == pytest.approx(wanted["features"][rows], abs=1e-4)
        assert found.map == pytest.approx(wanted["map"][rows], abs=1e-4)


def test_one_graph_gives_all_in_one_pass(bundle: Bundle) -> None:
    graphs = {path.name for path in bundle.path.iterdir()} - {"passport.json", "golden.npz", "feature_space.npz"}
    assert graphs == {"model.keras", "model.tflite", "model.xml", "model.bin", "model.onnx", "saved_model"}
    for engine in bundle.passport.engines:
        assert engine.agrees, engine


def test_the_fastest_that_agrees_is_the_first_and_answers(bundle: Bundle) -> None:
    times = [engine.milliseconds["1"] for engine in bundle.passport.engines if engine.milliseconds]
    assert len(times) == len(KINDS)
    assert times[:-1] == sorted(times[:-1])
    assert bundle.passport.engines[-1].kind == "saved_model", "it needs TensorFlow: last, however fast"
    assert bundle.engine == bundle.passport.engines[0]


def test_the_passport_says_how_each_graph_was_checked(bundle: Bundle) -> None:
    for engine in bundle.passport.engines:
        assert engine.difference is not None
        assert engine.batch_difference is not None
        assert max(engine.difference, engine.batch_difference) <= TOLERANCE
        assert (engine.flips, engine.images) == (0, 6)
        assert engine.milliseconds is not None
        assert engine.milliseconds["1"] > 0
        assert engine.milliseconds["8"] > 0
        assert engine.size is not None
        files = [path for path in bundle.passport.files if path.split(".")[0].split("/")[0] == engine.file]
        assert engine.kind != "saved_model" or engine.size == sum((bundle.path / f).stat().st_size for f in files)


def test_the_keras_file_loads_with_stock_keras_in_safe_mode(bundle: Bundle, model: keras.Model) -> None:
    loaded = keras.saving.load_model(bundle.path / "model.keras", compile=False, safe_mode=True)
    images = noise(DATA).astype(np.float32)
    wanted = class_probabilities(model, task="binary").predict(images, verbose=0)
    assert (loaded.predict(images, verbose=0) == wanted).all()


def test_the_passport_says_what_the_model_is(bundle: Bundle) -> None:
    passport = bundle.passport
    assert (passport.run_id, passport.model, passport.task) == ("a" * 32, "tiny", "binary")
    assert (passport.class_names, passport.positive) == (("clear", "nodule"), "nodule")
    assert (passport.input, passport.preprocessing) == (DATA.input, DATA.input.digest)
    assert passport.data == {
        "name": "phantom",
        "digest": "d1",
        "split": "s1",
        "source": "test",
        "counts": {"train": {"clear": 1, "nodule": 1}},
        "synthetic": True,
    }
    assert passport.metrics["auc"] == Estimate(0.75, 0.7, 0.8)
    assert passport.facts == {"commit": "c0ffee", "dirty": False, "intended_use": None, "not_for": None}
    assert passport.thresholds == {"nodule": 0.5}
    assert {"medexp", "keras", "tensorflow", "openvino", "ai-edge-litert", "onnxruntime"} <= set(passport.versions)


def test_the_passport_has_the_checksum_of_every_other_file(bundle: Bundle) -> None:
    found = checksums(bundle.path)
    found.pop("passport.json")
    assert bundle.passport.files == found


def test_golden_images_are_those_given_and_a_chart_with_what_keras_says_of_them(
    bundle: Bundle, model: keras.Model
) -> None:
    golden, wanted = Golden.read(bundle.path), keras_says(model, noise(DATA, 2))
    assert (golden.pixels[:2] == noise(DATA, 2)).all()
    assert golden.probabilities[:2] == pytest.approx(wanted["probabilities"], abs=1e-6)
    assert golden.features[:2] == pytest.approx(wanted["features"], abs=1e-5)
    assert (golden.pixels[2] == bundle.read(golden.chart)).all()
    assert len(np.unique(golden.pixels[2])) > 20, "a chart that shows nothing"
    bundle.verify()


def test_an_existing_bundle_is_not_overwritten(bundle: Bundle, model: keras.Model) -> None:
    with pytest.raises(FileExistsError):
        export(bundle.path, model, DATA)


def ill_conditioned(data: DataSpec) -> keras.Model:
    """Sums huge weights that cancel out, so that every order of summation has its own result."""
    model = simple_cnn(data, filters=[256])
    conv = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    conv.set_weights([np.repeat(weights[..., :1], weights.shape[-1], axis=-1) for weights in conv.get_weights()])
    half = np.random.default_rng(0).normal(scale=1e6, size=128)
    weights = np.random.default_rng(1).permutation(np.concatenate([half, -half]))
    model.get_layer("probabilities").set_weights([weights[:, np.newaxis], np.zeros(1)])
    return model


def not_a_number(data: DataSpec) -> keras.Model:
    model = network(data)
    last = model.get_layer("probabilities")
    last.set_weights([np.full_like(weights, np.nan) for weights in last.get_weights()])
    return model


def test_a_model_that_gives_no_numbers_is_refused_and_leaves_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"No exported graph says what Keras says.*litert: probabilities differ by"):
        export(tmp_path / "bundle", not_a_number(DATA), DATA)
    with pytest.raises(RegistryError, match="There is no bundle here"):
        Bundle.open(tmp_path / "bundle")


def test_an_engine_that_cannot_run_the_graph_is_listed_with_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(Graphs, "_write_litert", lambda self, path: path.write_bytes(b"nothing"))
    with caplog.at_level(logging.WARNING, logger="medexp"):
        found = export_tiny(tmp_path / "bundle", engines=("litert", "onnx", "openvino")).passport
    first, *others = found.engines
    assert (first.kind, first.agrees) == ("openvino", True)
    assert {engine.kind: engine.agrees for engine in others} == {"litert": False, "onnx": False}
    reasons = {engine.kind: str(engine.why_not) for engine in others}
    assert "LiteRT cannot run this graph" in reasons["litert"]
    assert "not installed" in reasons["onnx"]
    assert not [name for name in found.files if name.endswith((".tflite", ".onnx"))]
    assert not list(tmp_path.glob("bundle/model.tflite"))
    assert "litert is not used: LiteRT cannot run" in caplog.text


def test_a_converter_that_fails_is_listed_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Graphs, path: Path) -> None:
        raise ZeroDivisionError("no such operation: Frob")

    monkeypatch.setattr(Graphs, "_write_openvino", fail)
    found = export_tiny(tmp_path / "bundle", engines=("litert", "openvino")).passport.engines[1]
    assert (found.kind, found.agrees, found.file) == ("openvino", False, None)
    assert "ZeroDivisionError: no such operation: Frob" in str(found.why_not)


def test_litert_graphs_have_built_in_operations_alone(tmp_path: Path) -> None:
    """An operation of TensorFlow's own in a graph would need TensorFlow where it is served."""
    image = keras.Input(DATA.input.shape, name="image")
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(keras.ops.erfinv(image / 256))
    serving = keras.Model(image, {"probabilities": keras.layers.Dense(2)(pooled), "features": pooled})
    with Graphs(serving) as graphs, pytest.raises(RegistryError, match="the converter failed"):
        graphs.write("litert", tmp_path)


class Constant:
    """An engine that says what it was told, whatever it sees; alone, `alone`."""

    kind = "constant"

    def __init__(self, together: Outputs, alone: Outputs | None = None) -> None:
        self.together, self.alone = together, alone or together

    def __call__(self, batch: np.ndarray) -> Outputs:
        if len(batch) > 1:
            return self.together
        row = int(batch[0, 0, 0, 0])
        parts = (self.alone.probabilities, self.alone.features, self.alone.map)
        return Outputs(*(None if part is None else part[row : row + 1] for part in parts))  # type: ignore[arg-type]


def outputs(first: float = 0.5, *, feature: float = 1.0, heat: float | None = 1.0) -> Outputs:
    probabilities = np.array([[1 - first, first], [0.1, 0.9]], np.float32)
    features = np.array([[feature, 2.0], [3.0, 4.0]], np.float32)
    return Outputs(probabilities, features, None if heat is None else np.full((2, 1, 1, 1), heat, np.float32))


IMAGES = np.arange(2, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]


@pytest.mark.parametrize(
    ("together", "alone", "why_not"),
    [
        (outputs(), outputs(), None),
        (outputs(0.500005), outputs(), None),
        (outputs(0.501), outputs(), "probabilities differ by up to 0.001"),
        (outputs(), outputs(0.501), "probabilities differ by up to 0.001"),
        (outputs(float("nan")), outputs(), "probabilities differ by up to nan"),
        (outputs(0.499995), outputs(), "1 decisions differ"),
        (outputs(), outputs(0.499995), "1 decisions differ"),
        (outputs(feature=1.1), outputs(), "features differ"),
        (outputs(), outputs(heat=1.1), "class activation maps differ"),
        (outputs(heat=None), outputs(heat=None), "the class activation map is missing"),
        (replace(outputs(), map=np.ones((2, 1, 4, 1), np.float32)), outputs(), "class activation maps differ"),
        (replace(outputs(), probabilities=np.ones((2, 1), np.float32)), outputs(), "probabilities differ by up to inf"),
    ],
)
def test_a_graph_agrees_only_if_all_that_it_says_is_what_keras_says(
    together: Outputs, alone: Outputs, why_not: str | None
) -> None:
    found = compare(Constant(together, alone), outputs(), IMAGES, data=DATA, thresholds={"nodule": 0.5})
    assert found.why_not is None if why_not is None else str(found.why_not).startswith(why_not)


def test_flips_and_differences_are_counted() -> None:
    found = compare(Constant(outputs(0.6), outputs(0.4)), outputs(0.5), IMAGES, data=DATA, thresholds={"nodule": 0.45})
    assert found.difference == pytest.approx(0.1, abs=1e-6)
    assert found.batch_difference == pytest.approx(0.2, abs=1e-6)
    assert found.flips == 1


def test_times_are_of_one_image_and_of_eight() -> None:
    seen: list[int] = []

    class Slow(Constant):
        def __call__(self, batch: np.ndarray) -> Outputs:
            seen.append(len(batch))
            time.sleep(0.004 * len(batch))
            return self.together

    found = milliseconds({"slow": Slow(outputs()), "quick": Constant(outputs())}, IMAGES[0])
    assert set(seen) == {1, 8}
    assert found["quick"]["1"] < 4 <= found["slow"]["1"] < found["slow"]["8"]


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "ordinal"])
def test_a_model_of_each_task_says_the_same_once_it_is_exported(task: Task, tmp_path: Path) -> None:
    data = spec(task)
    model = network(data)
    bundle = export(tmp_path / "bundle", model, data, engines=("litert", "openvino", "onnx"))
    assert all(engine.agrees for engine in bundle.passport.engines)
    assert (bundle.passport.task, bundle.passport.class_names) == (task, CLASSES[task])
    assert (bundle.passport.positive, bundle.passport.thresholds) == (None, THRESHOLDS[task])
    found, wanted = bundle.outputs(noise(data)), keras_says(model, noise(data), task)
    assert np.abs(found.probabilities - wanted["probabilities"]).max() <= TOLERANCE
    assert found.map is not None
    assert found.map.shape[-1] == data.outputs
    if task != "multilabel":
        assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("bits", "channels"), [(8, 3), (16, 1)])
def test_a_bundle_of_any_pixels_answers_its_golden_images(bits: int, channels: int, tmp_path: Path) -> None:
    data = spec(pixels=InputSpec(16, 20, channels, bits=bits, fit="crop"))
    model = network(data)
    bundle = export(tmp_path / "bundle", model, data)
    images = noise(data)
    wanted = keras_says(model, images / (257 if bits == 16 else 1))
    assert np.abs(bundle.probabilities(images) - wanted["probabilities"]).max() <= TOLERANCE
    assert Golden.read(bundle.path).pixels.dtype == f"uint{bits}"
    bundle.verify()


def test_graphs_are_made_by_tensorflow_only(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigError, match=r"backend=jax.*runtime.backend=tensorflow"):
        Graphs(serving_model(model, task="binary"))


def test_an_unknown_engine_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"Unknown engine.*'tensorrt'.*litert, onnx, openvino, saved_model"):
        open_engine("tensorrt", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_is_safe_to_call_from_several_threads(kind: str, bundle: Bundle) -> None:
    engine = Bundle.open(bundle.path, engine=kind)
    images = noise(DATA, 40, seed=9)
    wanted = engine.probabilities(images)

    def one(i: int) -> float:
        size = 1 + i % 3
        rows = slice(i, min(i + size, 40))
        return float(np.abs(engine.probabilities(images[rows]) - wanted[rows]).max())

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(one, list(range(40)) * 5)) <= TOLERANCE


def test_a_graph_without_the_outputs_of_a_bundle_is_refused(tmp_path: Path) -> None:
    image = keras.Input(DATA.input.shape, name="image")
    serving = keras.Model(image, {"probabilities": keras.layers.GlobalAveragePooling2D()(image)})
    with Graphs(serving) as graphs:
        for kind in KINDS:
            path = graphs.write(kind, tmp_path)
            with pytest.raises(RegistryError, match=r"not the inputs and outputs of a bundle.*outputs probabilities; "):
                open_engine(kind, path)


def test_a_graph_that_differs_from_keras_is_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"probabilities differ by up to .*, allowed is 1e-05"):
        export(tmp_path / "bundle", ill_conditioned(DATA), DATA)


def test_the_graph_that_needs_tensorflow_is_last_however_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"saved_model": 1.0, "onnx": 2.0, "litert": 3.0}
    monkeypatch.setattr(
        "medexp.registry.export.milliseconds",
        lambda engines, image: {name: {"1": times[name], "8": times[name]} for name in engines},
    )
    found = export_tiny(tmp_path / "bundle", engines=("saved_model", "litert", "onnx")).passport.engines
    assert [engine.kind for engine in found] == ["onnx", "litert", "saved_model"]
