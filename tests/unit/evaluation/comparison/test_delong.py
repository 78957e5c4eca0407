"""Areas under ROC curves that are correlated, because they are of the same images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.metrics import roc_auc_score

from medexp.evaluation.comparison.delong import correlated_aucs

# DeLong, DeLong and Clarke-Pearson (1988): albumin, total protein, K-G score, and whether surgery helped. The 43 of 49
# patients without missing values, and the results, as in the manual of SAS/STAT, "Comparing ROC curves".
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def ovarian() -> tuple[np.ndarray, np.ndarray]:
    table = np.array(OVARIAN.split(), float).reshape(-1, 4)
    return table[:, 3].astype(int), np.stack([table[:, 0], table[:, 1], 10 - table[:, 2]])


def test_the_example_of_delong_and_others_comes_out_as_published() -> None:
    truth, scores = ovarian()
    found = correlated_aucs(truth, scores)
    against_kg = np.array([[1, 0, -1], [0, 1, -1]])
    difference = against_kg @ found.values
    statistic = difference @ np.linalg.solve(against_kg @ found.covariance @ against_kg.T, difference)
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


def test_areas_are_those_of_scikit_learn_ties_included() -> None:
    truth, scores = ovarian()
    assert correlated_aucs(truth, scores).values == pytest.approx([roc_auc_score(truth, row) for row in scores])


def test_the_covariance_is_that_of_the_definition() -> None:
    """Placement values counted pair by pair, not by ranks."""
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 0], [7, 11])
    scores = rng.integers(0, 6, (2, 18)).astype(float)
    positive, negative = scores[:, truth == 1], scores[:, truth == 0]
    kernel = (positive[:, :, None] > negative[:, None, :]) + 0.5 * (positive[:, :, None] == negative[:, None, :])
    expected = np.cov(kernel.mean(axis=2)) / 7 + np.cov(kernel.mean(axis=1)) / 11
    assert correlated_aucs(truth, scores).covariance == pytest.approx(expected)


def test_groups_of_one_image_each_give_what_no_groups_give() -> None:
    truth = np.repeat([1, 0], [60, 60])
    scores = np.random.default_rng(1).normal(size=(2, 120)) + truth
    alone, grouped = correlated_aucs(truth, scores), correlated_aucs(truth, scores, groups=[str(i) for i in range(120)])
    assert grouped.values == pytest.approx(alone.values)
    assert grouped.covariance == pytest.approx(alone.covariance, rel=0.01)


def test_standard_errors_by_group_are_right_where_those_by_image_are_too_small() -> None:
    rng = np.random.default_rng(2)
    patients, each = 60, 5
    of = np.repeat(np.arange(patients), each)
    areas, by_group, by_image = [], [], []
    for _ in range(300):
        truth = np.repeat((np.arange(patients) < 25).astype(int), each)
        scores = (truth + rng.normal(size=patients)[of] + 0.4 * rng.normal(size=patients * each))[None]
        found = correlated_aucs(truth, scores, groups=[str(i) for i in of])
        areas.append(found.values[0])
        by_group.append(found.covariance[0, 0])
        by_image.append(correlated_aucs(truth, scores).covariance[0, 0])
    spread = np.var(areas)
    assert np.mean(by_group) == pytest.approx(spread, rel=0.2)
    assert np.mean(by_image) < spread / 2


def test_one_positive_image_has_no_variance_to_tell() -> None:
    found = correlated_aucs(np.array([1, 0, 0, 0]), np.array([[0.9, 0.1, 0.2, 0.3]]))
    assert found.values == pytest.approx([1.0])
    assert np.isnan(found.covariance).all()
