from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medexp.data.audit.statistics import area, cramers_v, design_effect, holm, macro_area


def test_the_area_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    has, score = rng.random(500) < 0.3, rng.integers(0, 9, 500)
    assert area(has, score) == pytest.approx(roc_auc_score(has, score))


def test_the_macro_area_is_the_mean_over_the_classes_that_can_be_measured() -> None:
    rng = np.random.default_rng(0)
    has = np.stack([rng.random(300) < 0.3, rng.random(300) < 0.5, np.zeros(300, bool)], axis=1)
    scores = rng.random((300, 3)) + 0.5 * has
    expected = np.mean([roc_auc_score(has[:, i], scores[:, i]) for i in range(2)])
    assert macro_area(has, scores, np.arange(300), seed=0).value == pytest.approx(expected)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Scores of N(0, 1) and N(1, 1): the area is 0.760."""
    rng = np.random.default_rng(0)
    hits = 0
    for i in range(60):
        has = rng.random(200) < 0.5
        found = macro_area(has[:, None], (rng.standard_normal(200) + has)[:, None], np.arange(200), seed=i)
        hits += found.low <= 0.7602 <= found.high
    assert hits >= 52


def test_the_interval_is_wider_where_images_come_in_groups() -> None:
    rng = np.random.default_rng(0)
    has = np.repeat(rng.random(40) < 0.5, 10)
    score = np.repeat(rng.standard_normal(40), 10) + 0.5 * has
    alone = macro_area(has[:, None], score[:, None], np.arange(400), seed=0)
    grouped = macro_area(has[:, None], score[:, None], np.repeat(np.arange(40), 10), seed=0)
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_holm_adjusts_as_published() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_the_design_effect_is_the_size_of_groups_that_are_all_of_one_class() -> None:
    groups = np.repeat(np.arange(400), 5)
    has = np.repeat(np.random.default_rng(0).random(400) < 0.5, 5)
    assert design_effect(has, groups) == pytest.approx(5, rel=0.05)
    assert design_effect(has, np.arange(2000)) == pytest.approx(1, abs=0.01)


def test_cramers_v_is_one_where_a_name_tells_the_class_and_nothing_where_it_does_not() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 1000)
    assert cramers_v(classes, classes)[0] == pytest.approx(1)
    v, p = cramers_v(classes, rng.integers(0, 5, 1000))
    assert v < 0.08
    assert p > 0.01
