"""Intervals of metrics: what they cover, and where they must not collapse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from medexp.evaluation.intervals import metric_estimates, resampling
from medexp.evaluation.metrics import classification_metrics
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.weighted import WeightedMetrics
from medexp.types import Estimate

AT = {"yes": 0.4}
COVERED = ("auc", "average_precision", "sensitivity", "specificity", "brier", "log_loss", "f1", "mcc")


def binary(labels: np.ndarray, scores: np.ndarray, groups: tuple[str, ...] | None = None) -> Predictions:
    rows = np.stack([1 - scores, scores], axis=1)
    return Predictions("test", tuple(map(str, range(len(labels)))), labels, rows, ("no", "yes"), "binary", groups)


def scored(rng: np.random.Generator, labels: np.ndarray, shift: float = 1.6) -> np.ndarray:
    """Calibrated probabilities of two normal distributions at a prevalence of 0.4."""
    x = rng.normal(size=len(labels)) + shift * labels
    return np.asarray(1 / (1 + np.exp(-(shift * x - shift**2 / 2 + np.log(0.4 / 0.6)))))


def alone(rng: np.random.Generator, images: int) -> Predictions:
    labels = (np.arange(images) < 0.4 * images).astype(int)
    return binary(labels, scored(rng, labels))


def of_patients(rng: np.random.Generator, images: int) -> Predictions:
    """Five images of each patient, all of one class, that look alike."""
    patients = images // 5
    labels = (rng.random(patients) < 0.4).astype(int)
    of = np.repeat(np.arange(patients), 5)
    x = (rng.normal(size=patients) * 0.9)[of] + rng.normal(size=images) * np.sqrt(1 - 0.81) + 1.6 * labels[of]
    scores = 1 / (1 + np.exp(-(1.6 * x - 1.28 + np.log(0.4 / 0.6))))
    return binary(labels[of], scores, tuple(f"p{i}" for i in of))


def coverage(
    draw: Callable[[np.random.Generator, int], Predictions],
    *,
    images: int,
    simulations: int,
    keep_groups: bool = True,
    names: tuple[str, ...] = COVERED,
) -> dict[str, float]:
    """The share of simulated data sets whose 95 % interval holds the value of the population."""
    truth = WeightedMetrics(draw(np.random.default_rng(99), 400_000), thresholds=AT).value()
    rng = np.random.default_rng(0)
    hits = dict.fromkeys(names, 0)
    for number in range(simulations):
        p = draw(rng, images)
        p = p if keep_groups else replace(p, groups=None)
        found = metric_estimates(p, thresholds=AT, resamples=400, confidence=0.95, seed=number)
        for name in names:
            hits[name] += found[name].low <= truth[name] <= found[name].high
    return {name: hit / simulations for name, hit in hits.items()}


def test_intervals_of_95_percent_hold_the_truth_95_times_of_100() -> None:
    found = coverage(alone, images=150, simulations=300)
    # the standard error of each share is 1.3 points
    assert {name: share for name, share in found.items() if not 0.915 <= share <= 0.985} == {}
    assert np.mean(list(found.values())) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("images", [100, 300])
def test_intervals_hold_the_truth_93_to_97_times_of_100(images: int) -> None:
    found = coverage(alone, images=images, simulations=3000)
    # the standard error of each share is 0.4 points
    assert {name: share for name, share in found.items() if not 0.93 <= share <= 0.97} == {}


def test_intervals_by_patient_hold_the_truth_and_those_by_image_do_not() -> None:
    names = ("auc", "sensitivity", "specificity", "brier", "log_loss")
    by_patient = coverage(of_patients, images=400, simulations=150, names=names)
    by_image = coverage(of_patients, images=400, simulations=150, names=names, keep_groups=False)
    assert min(by_patient.values()) > 0.90
    assert max(by_image.values()) < 0.80


@pytest.mark.slow
def test_intervals_by_patient_hold_the_truth_93_to_97_times_of_100() -> None:
    names = ("auc", "average_precision", "sensitivity", "specificity", "brier", "log_loss", "accuracy")
    found = coverage(of_patients, images=500, simulations=2000, names=names)
    assert {name: share for name, share in found.items() if not 0.925 <= share <= 0.975} == {}


def test_an_interval_of_the_auc_is_delongs() -> None:
    p = alone(np.random.default_rng(1), 2000)
    found = metric_estimates(p, thresholds=AT, resamples=4000, confidence=0.95, only=["auc"])["auc"]
    positive, negative = p.scores[p.labels == 1], p.scores[p.labels == 0]
    above = (positive[:, None] > negative).astype(float)  # placements (DeLong et al., Biometrics 44:837, 1988)
    variance = above.mean(axis=1).var(ddof=1) / len(positive) + above.mean(axis=0).var(ddof=1) / len(negative)
    auc = roc_auc_score(p.labels, p.scores)
    assert found.value == pytest.approx(auc)
    reach = 1.96 * np.sqrt(variance) / (auc * (1 - auc))
    expected = stats.logistic.cdf([stats.logistic.ppf(auc) - reach, stats.logistic.ppf(auc) + reach])
    assert [found.low, found.high] == pytest.approx(expected, abs=5e-4)


def test_values_are_those_of_the_metrics() -> None:
    p = alone(np.random.default_rng(1), 200)
    found = metric_estimates(p, thresholds=AT, resamples=100, confidence=0.9)
    assert {f"test_{name}": estimate.value for name, estimate in found.items()} == pytest.approx(
        classification_metrics(p, thresholds=AT)
    )
    assert all(estimate.low < estimate.value < estimate.high for estimate in found.values())


def test_more_confidence_is_a_wider_interval() -> None:
    p = alone(np.random.default_rng(1), 200)
    narrow, wide = (metric_estimates(p, thresholds=AT, resamples=500, confidence=c) for c in (0.8, 0.99))
    assert all(wide[name].low < narrow[name].low < narrow[name].high < wide[name].high for name in narrow)


def test_the_seed_alone_decides() -> None:
    p = alone(np.random.default_rng(1), 3000)
    first, second, other = (
        metric_estimates(p, thresholds=AT, resamples=800, confidence=0.95, seed=seed) for seed in (1, 1, 2)
    )
    assert first == second
    assert first["auc"] != other["auc"]


def test_without_resamples_each_is_its_value_alone() -> None:
    found = metric_estimates(alone(np.random.default_rng(1), 50), thresholds=AT, resamples=0, confidence=0.95)
    assert {estimate.low == estimate.value == estimate.high for estimate in found.values()} == {True}


def test_a_sensitivity_has_the_interval_of_a_binomial_count() -> None:
    labels = np.array([1] * 40 + [0] * 60)
    scores = np.where(np.arange(100) < 37, 0.9, np.where(np.arange(100) < 94, 0.1, 0.8))
    found = metric_estimates(binary(labels, scores), thresholds=AT, resamples=200, confidence=0.95)
    for name, right, images in (("sensitivity", 37, 40), ("specificity", 54, 60), ("accuracy", 91, 100)):
        low, high = stats.binomtest(right, images).proportion_ci(0.95, method="wilson")
        assert (found[name].low, found[name].high) == pytest.approx((low, high)), name


PERFECT = binary(np.array([1] * 25 + [0] * 75), np.array([0.9] * 5 + [0.8] * 20 + [0.2] * 50 + [0.1] * 25))


def test_no_interval_collapses_where_all_was_right() -> None:
    found = metric_estimates(PERFECT, thresholds=AT, resamples=300, confidence=0.95)
    ones = {name for name, estimate in found.items() if estimate.value == 1}
    assert ones >= {"auc", "average_precision", "sensitivity", "ppv", "f1", "mcc", "balanced_accuracy", "accuracy"}
    z2 = 1.96**2
    assert found["sensitivity"].low == pytest.approx(25 / (25 + z2), abs=1e-4)
    for name in ones:
        assert found[name].high == 1
        assert 0.6 < found[name].low < 0.975, name
    # an F1 of 25 found, and z^2 missed or called falsely
    assert found["f1"].low == pytest.approx(2 * 25 / (2 * 25 + z2), abs=1e-4)


def test_no_interval_collapses_where_all_was_wrong() -> None:
    found = metric_estimates(replace(PERFECT, labels=1 - PERFECT.labels), thresholds=AT, resamples=300, confidence=0.95)
    assert found["auc"].value == found["f1"].value == found["sensitivity"].value == 0
    for name in ("auc", "f1", "sensitivity", "specificity", "accuracy", "balanced_accuracy"):
        assert found[name].low == 0
        assert 0.02 < found[name].high < 0.4, name
    assert found["mcc"].low == -1 < found["mcc"].high < -0.5


def test_a_finding_that_was_always_found_widens_the_balanced_accuracy() -> None:
    labels = np.array([1] * 10 + [0] * 200)
    scores = np.where(np.arange(210) < 30, 0.9, 0.1)
    found = metric_estimates(binary(labels, scores), thresholds=AT, resamples=300, confidence=0.95)
    assert found["sensitivity"].low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4)
    assert found["balanced_accuracy"].low < (found["sensitivity"].low + 0.9) / 2 + 0.01


def test_patients_that_were_all_right_count_once_each() -> None:
    groups = tuple(f"p{i // 5}" for i in range(100))
    alike = metric_estimates(replace(PERFECT, groups=groups), thresholds=AT, resamples=300, confidence=0.95)
    apart = metric_estimates(PERFECT, thresholds=AT, resamples=300, confidence=0.95)
    for name in ("sensitivity", "specificity", "auc", "f1", "balanced_accuracy"):
        assert alike[name].low < apart[name].low, name
    t = stats.t.ppf(0.975, 4)
    assert alike["sensitivity"].low == pytest.approx(5 / (5 + t**2))


def test_a_finding_of_one_patient_tells_nothing_of_how_it_is_ranked() -> None:
    groups = tuple(f"p{max(i // 5, 4)}" for i in range(100))
    found = metric_estimates(replace(PERFECT, groups=groups), thresholds=AT, resamples=300, confidence=0.95)
    assert found["auc"] == Estimate(1.0, found["auc"].low, 1.0)
    assert found["auc"].low < 0.75


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "ordinal"])
def test_every_metric_of_several_classes_has_an_interval(task: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 240)
    rows = rng.dirichlet(np.ones(3), 240) + 0.4 * np.eye(3)[labels]
    rows /= rows.sum(axis=1, keepdims=True)
    names, thresholds = ("a", "b", "c"), {}
    if task == "multilabel":
        labels, thresholds = (rng.random((240, 3)) < 0.3).astype(int), dict.fromkeys(names, 0.5)
        rows = (rng.random((240, 3)) + labels) / 2
    p = Predictions("val", tuple(map(str, range(240))), labels, rows, names, task)
    found = metric_estimates(p, thresholds=thresholds, resamples=300, confidence=0.95)
    values = classification_metrics(p, thresholds=thresholds)
    assert {f"val_{name}" for name in found} == set(values)
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(values[f"val_{name}"])
        assert estimate.low <= estimate.value <= estimate.high
        assert 0.01 < estimate.high - estimate.low < 0.5, name


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "ordinal"])
def test_a_class_that_is_never_called_takes_no_interval_from_the_others(task: str) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 3)) < 0.4).astype(int) if task == "multilabel" else rng.integers(0, 3, 60)
    rows = rng.dirichlet(np.ones(3), 60)
    rows[:, 2] = 0.0
    names, thresholds = ("a", "b", "c"), dict.fromkeys("abc", 0.5) if task == "multilabel" else {}
    p = Predictions("test", tuple(map(str, range(60))), labels, rows, names, task)
    found = metric_estimates(p, thresholds=thresholds, resamples=100, confidence=0.95)
    assert "ppv/c" not in found
    assert 0 < found["ppv"].low < found["ppv"].value < found["ppv"].high < 1


@pytest.mark.parametrize("positive", [2, 3, 5])
def test_a_ranking_of_few_positive_images_is_covered_as_well(positive: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.array([1] * positive + [0] * 100)
    true, hits = stats.norm.cdf(1 / np.sqrt(2)), 0
    for number in range(150):
        scores = stats.norm.cdf(rng.normal(size=len(labels)) + labels)
        p = binary(labels, scores)
        found = metric_estimates(p, thresholds=AT, resamples=100, confidence=0.95, seed=number)["auc"]
        hits += found.low <= true <= found.high
    assert hits / 150 > 0.93  # with the normal distribution in place of Student's 0.78, 0.86, 0.88


def test_a_single_positive_image_rules_hardly_anything_out() -> None:
    labels = np.array([1] + [0] * 100)
    found = metric_estimates(binary(labels, np.linspace(0.6, 0, 101)[np.r_[40, 0:40, 41:101]]), thresholds=AT,
                             resamples=200, confidence=0.95)["auc"]  # fmt: skip
    assert found.value == pytest.approx(0.6)
    assert found.low < 0.1
    assert found.high > 0.9


def test_images_of_one_patient_leave_the_auc_open_on_both_sides() -> None:
    p = alone(np.random.default_rng(0), 60)
    found = metric_estimates(replace(p, groups=("p",) * 60), thresholds=AT, resamples=100, confidence=0.95)["auc"]
    assert found.low < 0.1
    assert found.high > 0.9


def test_it_says_what_was_drawn() -> None:
    found = resampling(PERFECT, resamples=5, confidence=0.9)
    assert (found.resamples, found.confidence, found.unit, found.units) == (5, 0.9, "image", 100)
    groups = tuple(f"p{i // 5}" for i in range(100))
    found = resampling(replace(PERFECT, groups=groups), resamples=5, confidence=0.9)
    assert (found.unit, found.units) == ("group", 20)
