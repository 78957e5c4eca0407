"""Calibration is fitted on validation, and says how often."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from medexp.evaluation.calibration import apply_calibration, calibration_section, fit_calibration
from medexp.evaluation.isotonic import IDENTITY, STEEPEST, centred_isotonic
from medexp.evaluation.logits import activated, logits_of, of_classes
from medexp.evaluation.predictions import Predictions
from medexp.types import TASKS, Task

METHODS = ("temperature", "vector", "isotonic")
GRADES = ("none", "mild", "bad")


def sure(
    task: Task,
    times: float = 3.0,
    *,
    images: int = 20_000,
    seed: int = 0,
    moved: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Predictions:
    """Labels drawn from true logits, and the probabilities of a network whose logits are so many times as large."""
    rng = np.random.default_rng(seed)
    outputs = {"binary": 1, "ordinal": 2}.get(task, 3)
    true = rng.normal(0, 1.5, (images, outputs))
    classes = of_classes(activated(true, task=task), task=task)
    draw = rng.random((images, classes.shape[1] if task == "multilabel" else 1))
    labels = (draw < classes).astype(int) if task == "multilabel" else (draw > classes.cumsum(1)[:, :-1]).sum(1)
    said = of_classes(activated(times * true if moved is None else moved(true), task=task), task=task)
    names = ("no", "yes") if task == "binary" else GRADES
    return Predictions("val", tuple(map(str, range(images))), labels, said.astype(np.float32), names, task)


def loss(predictions: Predictions) -> float:
    rows = np.arange(len(predictions.keys))
    exact = predictions.probabilities.astype(np.float64)
    if predictions.task == "multilabel":
        true = np.where(predictions.labels == 1, exact, 1 - exact)
    else:
        true = exact[rows, predictions.labels]
    return float(-np.log(true.clip(1e-12)).mean())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("times", [0.5, 3.0])
def test_the_temperature_that_made_a_network_unsure_or_too_sure_is_found(task: Task, times: float) -> None:
    found = fit_calibration(sure(task, times), method="temperature")
    assert found.method == "temperature"
    assert len(set(found.scale)) == 1
    assert found.scale[0] * times == pytest.approx(1, abs=0.05)
    assert set(found.shift) == {0.0}


@pytest.mark.parametrize("task", ["binary", "multilabel", "ordinal"])
def test_scale_and_shift_of_each_output_are_found(task: Task) -> None:
    found = fit_calibration(sure(task, moved=lambda logits: (logits - 0.5) / 0.4), method="vector")
    assert found.scale == pytest.approx([0.4] * len(found.scale), abs=0.03)
    assert found.shift == pytest.approx([0.5] * len(found.shift), abs=0.1)


def test_scales_of_exclusive_classes_are_of_logits_less_their_mean() -> None:
    scale, shift = np.array([0.3, 0.5, 0.8]), np.array([0.4, -0.6, 0.2])

    def moved(logits: np.ndarray) -> np.ndarray:
        """Logits whose mean is 0, and that these scales and shifts make the true ones, but for a number."""
        free = (logits - shift) / scale
        return free - _level(free, scale)

    found = fit_calibration(sure("multiclass", moved=moved, images=40_000), method="vector")
    assert found.scale == pytest.approx(scale, abs=0.04)
    assert found.shift == pytest.approx(shift, abs=0.1)


def _level(logits: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """What a number c added to all true logits, c / scale here, has to be for a mean of 0."""
    return (logits.mean(1, keepdims=True) / (1 / scale).mean()) / scale


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_images_that_were_not_fitted_are_better_told(task: Task, method: str) -> None:
    val, test = sure(task, images=4000), replace(sure(task, images=4000, seed=1), split="test")
    after = apply_calibration(test, fit_calibration(val, method=method))
    true = sure(task, 1.0, images=4000, seed=1)
    assert loss(after) < loss(test) - 0.2
    assert loss(after) < loss(true) + 0.02  # the least there is
    assert after.probabilities.dtype == np.float32
    if task != "multilabel":
        assert after.probabilities.sum(axis=1) == pytest.approx(np.ones(4000), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_yes_or_no_scores_survives(method: str) -> None:
    val = sure("binary", images=1000)
    after = apply_calibration(val, fit_calibration(val, method=method))
    order = np.argsort(val.scores, kind="stable")
    assert (np.diff(after.scores[order]) >= 0).all()
    assert roc_auc_score(val.labels, after.scores) == pytest.approx(roc_auc_score(val.labels, val.scores), abs=1e-4)


def test_no_method_changes_nothing() -> None:
    val = sure("binary", images=100)
    assert apply_calibration(val, fit_calibration(val, method="none")) is val


@pytest.mark.parametrize("method", METHODS)
def test_validation_with_one_answer_fits_nothing_and_says_so(method: str, caplog: pytest.LogCaptureFixture) -> None:
    val = sure("binary", images=100)
    found = fit_calibration(replace(val, labels=np.ones(100, int)), method=method)
    assert found.method == "none"
    assert f"no {method} scaling is fitted: on val every image has the same answer" in caplog.text


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("method", METHODS)
def test_scores_that_rank_the_wrong_way_round_fit_nothing(
    task: Task, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    val = sure(task, -3.0, images=1000)
    found = fit_calibration(val, method=method)
    assert found.method == "none"
    assert "chance" in caplog.text


@pytest.mark.parametrize("method", ["vector", "isotonic"])
def test_a_finding_that_nobody_has_stays_as_it_is_and_is_named(method: str, caplog: pytest.LogCaptureFixture) -> None:
    val = sure("multilabel", images=1000)
    labels = val.labels.copy()
    labels[:, 1] = 0
    found = fit_calibration(replace(val, labels=labels), method=method)
    after = apply_calibration(val, found)
    assert after.probabilities[:, 1] == pytest.approx(val.probabilities[:, 1], abs=1e-6)
    assert np.abs(after.probabilities[:, 0] - val.probabilities[:, 0]).max() > 0.1
    assert "on val it has one answer only: mild" in caplog.text


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_mistakes_on_few_images_is_not_called_infallible(task: Task, method: str) -> None:
    val = sure(task, 1.0, images=60)
    classes = val.probabilities.shape[1]
    right = val.labels if task == "multilabel" else np.eye(classes)[val.labels]
    known = replace(val, probabilities=(0.6 * right + 0.4 * (1 - right) / (1 if task == "multilabel" else classes - 1)))
    after = apply_calibration(known, fit_calibration(known, method=method))
    assert np.isfinite(after.probabilities).all()
    assert 0.8 < after.probabilities.max() < 0.999


@pytest.mark.parametrize("task", TASKS)
def test_logits_are_regained_from_probabilities(task: Task) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (500, 2 if task == "ordinal" else 1 if task == "binary" else 3))
    said = of_classes(activated(logits, task=task), task=task).astype(np.float32)
    names = ("no", "yes") if task == "binary" else GRADES
    found = logits_of(Predictions("val", tuple(map(str, range(500))), np.zeros(500), said, names, task))
    if task == "multiclass":
        logits, found = (values - values.mean(axis=1, keepdims=True) for values in (logits, found))
    assert np.abs(found - logits).max() < 2e-3
    assert np.median(np.abs(found - logits)) < 1e-6


def test_probabilities_of_nought_and_one_have_finite_logits() -> None:
    rows = np.array([[1, 0], [0, 1]], np.float32)
    for task in ("binary", "multiclass", "multilabel", "ordinal"):
        assert np.isfinite(logits_of(Predictions("val", ("a", "b"), np.array([0, 1]), rows, ("x", "y"), task))).all()


def test_a_centred_curve_goes_through_the_middle_of_each_step() -> None:
    said = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8])
    knots = centred_isotonic(said, np.array([0.3, 0.1, 0.2, 0.9, 0.7, 0.65]))
    assert np.array(knots) == pytest.approx(np.array([[0, 0], [0.2, 0.2], [0.7, 0.75], [1, 1]]), abs=1e-6)


def test_equal_probabilities_are_one_point_of_the_curve() -> None:
    knots = centred_isotonic(np.array([0.2, 0.2, 0.2, 0.8]), np.array([0.1, 0.1, 0.4, 0.9]))
    assert np.array(knots) == pytest.approx(np.array([[0, 0], [0.2, 0.2], [0.8, 0.9], [1, 1]]), abs=1e-6)


def test_no_part_of_a_curve_is_so_steep_that_roundings_show() -> None:
    rng = np.random.default_rng(0)
    said = rng.beta(0.02, 0.02, 3000).clip(0, 1).astype(np.float32)  # most are very close to 0 or 1, some are 0 or 1
    knots = np.array(centred_isotonic(said, (rng.random(3000) < 0.3 + 0.4 * said) * 0.998 + 0.001))
    assert (np.diff(knots[:, 0]) > 0).all()
    assert (np.diff(knots[:, 1]) >= 0).all()
    assert (np.diff(knots[:, 1]) / np.diff(knots[:, 0])).max() < STEEPEST * 1.001
    assert np.interp([0.0, 1.0], *knots.T) == pytest.approx([0.3, 0.7], abs=0.1)


def test_a_curve_of_one_step_is_none() -> None:
    assert centred_isotonic(np.array([0.1, 0.9]), np.array([0.9, 0.1])) == IDENTITY


@pytest.fixture(scope="module")
def chests() -> tuple[Predictions, Predictions]:
    """2,000 chest X-rays to fit on and 2,108 others, by a regression that knows 400 more by heart."""
    here = Path(__file__).resolve().parents[4] / "shared" / "data"
    path = Path(os.environ.get("MEDEXP_DATA_DIR", here)) / "medmnist" / "pneumoniamnist.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in $MEDEXP_DATA_DIR or ../shared/data")
    with np.load(path) as file:
        images, labels = file["train_images"], file["train_labels"].ravel().astype(int)
    pixels = images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(images), -1) / 255
    model = LogisticRegression(C=1000, max_iter=1000).fit(pixels[:400], labels[:400])
    said = model.predict_proba(pixels).astype(np.float32)
    every = Predictions(
        "val", tuple(map(str, range(len(labels)))), labels, said, ("normal", "pneumonia"), "binary"
    )  # fmt: skip
    return every.take(np.arange(600, 2600)), replace(every.take(np.arange(2600, len(labels))), split="test")


@pytest.mark.parametrize("method", METHODS)
def test_real_probabilities_become_better_on_images_that_were_not_fitted(
    method: str, chests: tuple[Predictions, Predictions], caplog: pytest.LogCaptureFixture
) -> None:
    val, test = chests
    fitted = fit_calibration(val, method=method)
    after = apply_calibration(test, fitted)
    assert log_loss(test.labels, after.scores) < 0.7 * log_loss(test.labels, test.scores)
    with caplog.at_level("INFO"):
        section = calibration_section(fitted, before=test, after=after, resamples=200, confidence=0.95)
    assert section.fitted == fitted
    assert section.after.ece.value < 0.6 * section.before.ece.value
    assert section.before.slope.high < 0.5
    assert 0.9 < section.after.slope.value < 1.2
    assert f"calibration ({method}): expected calibration error of test 0." in caplog.text
