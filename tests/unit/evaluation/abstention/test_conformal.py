from __future__ import annotations

import logging

import numpy as np
import pytest

from medexp.decision.conformal import Conformal
from medexp.evaluation.abstention import fit_conformal
from medexp.evaluation.predictions import Predictions
from medexp.types import Task

NAMES = ("clear", "nodule", "mass")


def drawn(rng: np.random.Generator, counts: tuple[int, ...], task: Task = "multiclass") -> Predictions:
    """Images of each class, whose probabilities know it better for the first class than for the last."""
    labels = np.repeat(np.arange(len(counts)), counts)
    logits = rng.normal(0, 1, (len(labels), len(counts)))
    logits[np.arange(len(labels)), labels] += np.array([3.0, 1.5, 0.5])[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return as_predictions(labels, probabilities.astype(np.float32), task)


def findings(rng: np.random.Generator, images: int) -> Predictions:
    labels = (rng.random((images, 3)) < (0.5, 0.3, 0.1)).astype(int)
    probabilities = 1 / (1 + np.exp(-(rng.normal(0, 1, labels.shape) + 2 * labels - 1)))
    return as_predictions(labels, probabilities.astype(np.float32), "multilabel")


def as_predictions(labels: np.ndarray, probabilities: np.ndarray, task: Task) -> Predictions:
    names = NAMES[: probabilities.shape[1]]
    return Predictions("val", tuple(map(str, range(len(labels)))), labels, probabilities, names, task)


def sets(conformal: Conformal, predictions: Predictions) -> np.ndarray:
    return conformal.sets(predictions.probabilities, task=predictions.task, class_names=predictions.class_names)


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_each_class_is_covered_as_often_as_chosen_however_rare_and_hard_it_is(task: Task) -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        conformal = fit_conformal(drawn(rng, (200, 60, 12), task), coverage=0.9)
        test = drawn(rng, (100, 100, 100), task)
        held = sets(conformal, test)[np.arange(300), test.labels]
        found.append([held[test.labels == i].mean() for i in range(3)])
    for covered, images in zip(np.mean(found, axis=0), (200, 60, 12), strict=True):
        assert 0.9 - 0.012 < covered < 0.9 + 1 / (images + 1) + 0.012


def test_of_several_labels_presence_and_absence_are_covered_each() -> None:
    rng, found = np.random.default_rng(1), []
    for _ in range(200):
        conformal = fit_conformal(findings(rng, 200), coverage=0.8)
        test = findings(rng, 400)
        held = sets(conformal, test)
        found.append([held[test.labels[:, i] == value, i, value].mean() for i in range(3) for value in (0, 1)])
    assert (np.mean(found, axis=0) > 0.79).all()
    assert (np.mean(found, axis=0) < 0.86).all()


def test_the_limit_is_lower_where_images_are_few_and_there_is_none_where_they_are_too_few(
    caplog: pytest.LogCaptureFixture,
) -> None:
    probabilities = np.array([[0.9 - i / 100, 0.1 + i / 100] for i in range(9)] + [[0.2, 0.8]] * 8)
    with caplog.at_level(logging.WARNING):
        conformal = fit_conformal(as_predictions(np.repeat([0, 1], (9, 8)), probabilities, "binary"), coverage=0.9)
    assert conformal.limits["clear"] == pytest.approx(0.82, abs=1e-3)  # the lowest of nine: nine are just enough
    assert conformal.limits["nodule"] == 0  # of eight there is none
    assert conformal.images == {"clear": 9, "nodule": 8}
    assert "takes 9 validation images" in caplog.text
    assert "nodule (8)" in caplog.text
    assert "clear" not in caplog.text
    surely_clear = np.array([[1.0, 0.0]])
    assert conformal.sets(surely_clear, task="binary", class_names=NAMES[:2]).tolist() == [[True, True]]


def test_a_class_that_validation_lacks_is_in_every_set() -> None:
    conformal = fit_conformal(as_predictions(np.zeros(50, int), np.full((50, 2), 0.5), "binary"), coverage=0.9)
    assert conformal.limits["nodule"] == 0
    assert conformal.images["nodule"] == 0


def test_an_engine_that_rounds_otherwise_leaves_nobody_outside() -> None:
    rng = np.random.default_rng(2)
    val = drawn(rng, (40, 40, 40))
    saturated = val.probabilities.copy()
    saturated[val.labels == 0] = (1, 0, 0)
    conformal = fit_conformal(as_predictions(val.labels, saturated, "multiclass"), coverage=0.9)
    rounded = as_predictions(val.labels, saturated * np.float32(1 - 1e-5), "multiclass")
    before, after = sets(conformal, as_predictions(val.labels, saturated, "multiclass")), sets(conformal, rounded)
    own = np.arange(len(val.labels)), val.labels
    assert (before[own] == after[own]).all()
    assert after[val.labels == 0, 0].all()


def test_one_abstains_where_a_set_is_empty_or_large_or_speaks_against_the_decision() -> None:
    conformal = Conformal(0.9, {"clear": 0.3, "nodule": 0.6})
    probabilities = np.array([[0.9, 0.1], [0.35, 0.65], [0.2, 0.8], [0.45, 0.55]])
    how = {"task": "binary", "class_names": NAMES[:2]}
    assert conformal.unsure(probabilities, **how).tolist() == [False, True, False, False]
    decided = np.array([0, 1, 1, 1])  # the last one above its threshold, and its set holds `clear` alone
    assert conformal.unsure(probabilities, **how, decided=decided).tolist() == [False, True, False, True]
    empty = Conformal(0.9, {"clear": 0.6, "nodule": 0.6})
    assert empty.unsure(np.array([[0.5, 0.5]]), **how).all()
