from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.errors import RegistryError
from medexp.models.class_probabilities import class_probabilities
from medexp.models.simple_cnn import simple_cnn
from medexp.registry.bundle import Bundle, sha256
from medexp.registry.export import TOLERANCE, export_bundle
from medexp.types import DataSpec, InputSpec, Task

INPUT = InputSpec(height=8, width=8, channels=1)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, *INPUT.shape), dtype=np.uint8)
DATA = DataSpec(
    name="d",
    task="binary",
    class_names=("no", "yes"),
    input=INPUT,
    counts={"train": {"no": 1, "yes": 2}},
    digest="abc",
    source="/somewhere",
    synthetic=True,
)


AT = {"yes": 0.4}


def network(dtype: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input(INPUT.shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(8, 3, activation="relu", dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return class_probabilities(
        keras.Model(image, keras.layers.Dense(1, activation="sigmoid", dtype="float32")(x)), task="binary"
    )


def export(
    model: keras.Model,
    folder: Path,
    check_on: np.ndarray = IMAGES,
    data: DataSpec = DATA,
    thresholds: Mapping[str, float] = AT,
) -> Bundle:
    return export_bundle(
        model,
        folder / "bundle",
        run_id="run",
        name="tiny",
        data=data,
        thresholds=thresholds,
        metrics={"test_auc": 0.9},
        check_on=check_on,
        native_log=folder / "run.log",
    )


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network()


@pytest.fixture(scope="module")
def bundle(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(model, tmp_path_factory.mktemp("export"))


def test_the_exported_graph_says_what_keras_says(bundle: Bundle, model: keras.Model) -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, *INPUT.shape), dtype=np.uint8)
    wanted = model.predict(images.astype(np.float32), verbose=0)
    assert np.abs(bundle.probabilities(images) - wanted).max() <= TOLERANCE


def test_the_bundle_opens_again(bundle: Bundle) -> None:
    again = Bundle.open(bundle.path)
    assert (again.probabilities(IMAGES) == bundle.probabilities(IMAGES)).all()


def test_the_keras_file_loads_with_stock_keras_in_safe_mode(bundle: Bundle, model: keras.Model) -> None:
    loaded = keras.saving.load_model(bundle.path / "model.keras", compile=False, safe_mode=True)
    assert (loaded.predict(IMAGES, verbose=0) == model.predict(IMAGES, verbose=0)).all()


def test_the_passport_says_what_the_model_is(bundle: Bundle) -> None:
    passport = bundle.passport
    assert (passport.run_id, passport.model, passport.task, passport.thresholds) == (
        "run",
        "tiny",
        "binary",
        {"yes": 0.4},
    )
    assert (passport.class_names, passport.positive) == (("no", "yes"), "yes")
    assert (passport.input, passport.preprocessing) == (INPUT, INPUT.digest)
    assert passport.data == {
        "name": "d",
        "digest": "abc",
        "split": "",
        "source": "/somewhere",
        "counts": {"train": {"no": 1, "yes": 2}},
        "synthetic": True,
    }
    assert passport.engine["difference"] <= TOLERANCE


def test_the_passport_has_the_checksum_of_every_other_file(bundle: Bundle) -> None:
    found = {path.name: sha256(path) for path in bundle.path.iterdir() if path.name != "passport.json"}
    assert bundle.passport.files == found


def test_an_existing_bundle_is_not_overwritten(bundle: Bundle, model: keras.Model) -> None:
    with pytest.raises(FileExistsError):
        export(model, bundle.path.parent)


def ill_conditioned() -> keras.Model:
    """Sums huge weights that cancel out, so that every order of summation has its own result."""
    image = keras.Input(INPUT.shape)
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(image, dense(keras.layers.Flatten()(image)))
    half = np.random.default_rng(0).normal(scale=1e6, size=32)
    weights = np.random.default_rng(1).permutation(np.concatenate([half, -half]))
    dense.set_weights([weights[:, np.newaxis], np.zeros(1)])
    return class_probabilities(model, task="binary")


def not_a_number() -> keras.Model:
    model = network()
    for layer in model.layers:
        layer.set_weights([np.full_like(weights, np.nan) for weights in layer.get_weights()])
    return model


@pytest.mark.parametrize("build", [ill_conditioned, not_a_number])
def test_a_graph_that_differs_from_keras_is_refused(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    images = np.repeat(np.arange(1, 9, dtype=np.uint8) * 31, 64).reshape(8, *INPUT.shape)
    with pytest.raises(RegistryError, match=r"does not say what Keras says.*allowed is 1e-05"):
        export(build(), tmp_path, check_on=images)


def test_a_graph_that_needs_tensorflow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="LiteRT cannot run this graph"):
        export(network("mixed_float16"), tmp_path)


def test_a_refused_export_leaves_no_bundle_that_opens(tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        export(not_a_number(), tmp_path)
    with pytest.raises(RegistryError, match="There is no bundle here"):
        Bundle.open(tmp_path / "bundle")


OTHERS = {
    "multiclass": (("a", "b", "c"), {}),
    "multilabel": (("a", "b", "c"), {"a": 0.1, "b": 0.5, "c": 0.9}),
    "ordinal": (("none", "mild", "severe"), {}),
}


@pytest.mark.parametrize("task", OTHERS)
def test_a_trained_model_of_each_task_says_the_same_once_it_is_exported(task: Task, tmp_path: Path) -> None:
    names, thresholds = OTHERS[task]
    data = replace(DATA, task=task, class_names=names)
    keras.utils.set_random_seed(0)
    trained = simple_cnn(data, filters=[4, 4], dropout=0.0)
    loss = "categorical_crossentropy" if task == "multiclass" else "binary_crossentropy"
    trained.compile(optimizer=keras.optimizers.Adam(0.1), loss=loss)
    grades = np.arange(5) % 3
    targets = {
        "multiclass": np.eye(3)[grades],
        "multilabel": np.eye(3)[grades] + np.eye(3)[grades - 1],
        "ordinal": grades[:, np.newaxis] > np.arange(2),
    }[task]
    trained.fit(IMAGES.astype(np.float32), targets.astype(np.float32), epochs=2, verbose=0)
    model = class_probabilities(trained, task=task)
    bundle = export(model, tmp_path, data=data, thresholds=thresholds)
    assert bundle.passport.engine["difference"] <= TOLERANCE
    assert (bundle.passport.task, bundle.passport.class_names, bundle.passport.positive) == (task, names, None)
    assert dict(bundle.passport.thresholds) == thresholds
    found, wanted = bundle.probabilities(IMAGES), model.predict(IMAGES.astype(np.float32), verbose=0)
    assert np.abs(found - wanted).max() <= TOLERANCE
    if task != "multilabel":
        assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    loaded = keras.saving.load_model(bundle.path / "model.keras", compile=False, safe_mode=True)
    assert (loaded.predict(IMAGES.astype(np.float32), verbose=0) == wanted).all()


def test_sixteen_bits_reach_the_exported_graph_on_the_scale_of_the_network(model: keras.Model, tmp_path: Path) -> None:
    deep = IMAGES.astype(np.uint16) * 257 + 100
    bundle = export(model, tmp_path, check_on=deep, data=replace(DATA, input=replace(INPUT, bits=16)))
    assert bundle.passport.input.bits == 16
    wanted = model.predict(deep / 257, verbose=0)
    assert np.abs(bundle.probabilities(deep) - wanted).max() <= TOLERANCE
