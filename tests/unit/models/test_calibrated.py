"""The calibration inside a network is the one that was fitted."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from medexp.evaluation.calibration import apply_calibration, fit_calibration
from medexp.evaluation.logits import activated, of_classes
from medexp.evaluation.predictions import Predictions
from medexp.logs import native_stderr_to
from medexp.models.calibrated import calibrated
from medexp.models.class_probabilities import class_probabilities
from medexp.models.last_dense import last_dense
from medexp.models.logit_head import logit_head
from medexp.models.serving import feature_extractor
from medexp.models.simple_cnn import simple_cnn
from medexp.types import TASKS, Calibration, DataSpec, InputSpec, Task

NAMES = ("none", "mild", "bad")
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1)).astype(np.float32)
METHODS = ("temperature", "vector", "isotonic")


def network(task: Task, *, spread: float = 4.0) -> keras.Model:
    """An untrained network whose logits lie about 0, with this standard deviation over `IMAGES`."""
    keras.utils.set_random_seed(1)
    names = NAMES[:2] if task == "binary" else NAMES
    spec = DataSpec("d", task, names, InputSpec(8, 8, 1), {}, "", "")
    made = simple_cnn(spec, filters=[8], dropout=0.0)
    dense = last_dense(made)
    kernel, bias = dense.get_weights()
    found = logits(made)
    dense.set_weights([kernel * spread / found.std(axis=0), (bias - found.mean(axis=0)) * spread / found.std(axis=0)])
    return made


def logits(made: keras.Model) -> np.ndarray:
    return np.asarray(logit_head(made)(feature_extractor(made)(IMAGES)))


def said(made: keras.Model, task: Task) -> Predictions:
    """What it says, and labels as if logits a quarter as large were true ones."""
    probabilities = np.asarray(class_probabilities(made, task=task)(IMAGES))
    true = of_classes(activated(logits(made).astype(np.float64) / 4, task=task), task=task)
    draw = np.random.default_rng(2).random((len(IMAGES), true.shape[1] if task == "multilabel" else 1))
    labels = (draw < true).astype(int) if task == "multilabel" else (draw > true.cumsum(axis=1)[:, :-1]).sum(axis=1)
    names = NAMES[:2] if task == "binary" else NAMES
    return Predictions("val", tuple(map(str, range(len(IMAGES)))), labels, probabilities, names, task)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_a_network_says_what_the_fit_promises_wherever_it_is_loaded(task: Task, method: str, tmp_path: Path) -> None:
    made = network(task)
    before = said(made, task)
    fitted = fit_calibration(before, method=method, logits=logits(made))
    assert fitted.method == method
    ready = class_probabilities(calibrated(made, task=task, calibration=fitted), task=task)
    found = np.asarray(ready(IMAGES))
    wanted = apply_calibration(before, fitted, logits=logits(made)).probabilities
    assert np.abs(found - wanted).max() < 1e-6
    assert np.abs(found - before.probabilities).max() > 0.02
    if task != "multilabel":
        assert found.sum(axis=1) == pytest.approx(np.ones(len(IMAGES)), abs=1e-6)
    ready.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    assert np.array_equal(np.asarray(loaded(IMAGES)), found)
    assert all(type(layer).__module__.startswith("keras.src") for layer in loaded.operations)


@pytest.mark.parametrize("task", ["binary", "multiclass", "ordinal"])
def test_regained_logits_are_as_good_for_networks_that_are_not_overly_sure(task: Task) -> None:
    made = network(task, spread=2.0)
    before = said(made, task)
    for method in METHODS:
        fitted = fit_calibration(before, method=method, logits=logits(made))
        regained, exact = apply_calibration(before, fitted), apply_calibration(before, fitted, logits=logits(made))
        assert np.abs(regained.probabilities - exact.probabilities).max() < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_the_trained_network_stays_as_it_is_and_shares_all_but_its_head(method: str) -> None:
    made = network("multiclass")
    weights, before = made.get_weights(), said(made, "multiclass")
    ready = calibrated(made, task="multiclass", calibration=fit_calibration(before, method=method))
    assert all(np.array_equal(old, new) for old, new in zip(weights, made.get_weights(), strict=True))
    assert np.array_equal(said(made, "multiclass").probabilities, before.probabilities)
    assert last_dense(ready) is not last_dense(made)
    assert last_dense(ready).name == last_dense(made).name
    assert ready.get_layer("pool") is made.get_layer("pool")


def test_scaling_adds_no_layer() -> None:
    made = network("ordinal")
    ready = calibrated(made, task="ordinal", calibration=Calibration("temperature", (0.5, 0.5), (0.0, 0.0)))
    assert [type(layer) for layer in ready.operations] == [type(layer) for layer in made.operations]


def test_no_calibration_is_the_network_itself() -> None:
    made = network("binary")
    assert calibrated(made, task="binary", calibration=Calibration("none")) is made


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_isotonic_curves_are_exported(task: Task, tmp_path: Path) -> None:
    made = network(task)
    fitted = fit_calibration(said(made, task), method="isotonic")
    ready = class_probabilities(calibrated(made, task=task, calibration=fitted), task=task)
    with native_stderr_to(tmp_path / "log"):
        ready.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
        run = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner()
        (name,) = run.get_input_details()
        (found,) = run(**{name: IMAGES}).values()
    assert np.abs(found - np.asarray(ready(IMAGES))).max() < 1e-5
