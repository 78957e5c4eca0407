from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medexp.evaluation.predictions import Predictions
from medexp.evaluation.threshold import choose_thresholds, youden_threshold


def youden(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    called = scores.astype(np.float64) >= threshold
    return float(called[labels == 1].mean() - called[labels == 0].mean())


def chosen(labels: list[int], scores: list[float]) -> float:
    return youden_threshold(np.array(labels), np.array(scores, np.float32))


def test_a_worked_example() -> None:
    # J is 2/3 from 0.4 on (all positives, one of three negatives), 1/3 at most elsewhere
    assert chosen([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.4, 0.5, 0.6, 0.9]) == pytest.approx(0.3)


def test_perfect_separation_is_decided_halfway() -> None:
    assert chosen([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == pytest.approx(0.5)


def test_of_equal_maxima_the_highest_sensitivity_is_taken() -> None:
    # J is 1/2 from 0.8 on (one of two positives) and from 0.4 on (both, but one of two negatives)
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.2, 0.4, 0.6, 0.8])
    threshold = youden_threshold(labels, scores)
    assert threshold == pytest.approx(0.3)
    assert (scores[labels == 1] >= threshold).all()


def test_equal_scores_stay_together() -> None:
    assert chosen([0, 1, 0, 1, 1], [0.2, 0.5, 0.5, 0.5, 0.5]) == pytest.approx(0.35)


def test_where_all_scores_are_the_same_all_are_positive() -> None:
    assert 0 < chosen([0, 1, 1], [0.4, 0.4, 0.4]) <= 0.4


def test_scores_that_are_the_wrong_way_round_call_all_positive() -> None:
    assert 0 < chosen([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]) <= 0.1


@pytest.mark.parametrize("scores", [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
def test_a_threshold_is_between_zero_and_one(scores: list[float]) -> None:
    assert 0 <= chosen([0, 1], scores) <= 1


def every_score(scores: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[int, float]]]:
    rows = st.lists(st.tuples(st.integers(0, 1), scores), min_size=2, max_size=40)
    return rows.filter(lambda found: len({label for label, _ in found}) == 2)


@given(every_score(st.integers(1, 999).map(lambda i: i / 1000)))
def test_no_other_threshold_has_a_larger_index(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)
    best = max(youden(labels, scores, t) for t in [*scores, 2.0])
    assert youden(labels, scores, youden_threshold(labels, scores)) == pytest.approx(best)


@given(every_score(st.integers(1, 99).map(lambda i: i / 100)))
def test_a_score_moved_by_a_rounding_keeps_its_side(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)
    threshold = youden_threshold(labels, scores)
    for moved in (scores - 1e-5, scores + 1e-5):
        assert ((moved >= threshold) == (scores >= threshold)).all()


ONE, SIX_TENTHS = np.float32(1), np.float32(0.6)


@pytest.mark.parametrize(
    ("negative", "positive"),
    [(1e-8, 5e-7), (np.nextafter(ONE, np.float32(0)), ONE), (SIX_TENTHS, np.nextafter(SIX_TENTHS, ONE))],
    ids=["both near 0", "both near 1", "neighbours"],
)
def test_scores_that_are_separated_stay_separated(negative: float, positive: float) -> None:
    labels, scores = np.array([0, 1]), np.array([negative, positive], np.float32)
    assert youden(labels, scores, youden_threshold(labels, scores)) == 1


def test_every_finding_gets_its_own_threshold_and_one_that_nobody_has_a_half(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]])
    scores = np.array([[0.1, 0.1, 0.9], [0.2, 0.8, 0.1], [0.6, 0.6, 0.1], [0.9, 0.2, 0.1]], np.float32)
    found = choose_thresholds(
        Predictions("val", tuple("abcd"), labels, scores, ("mass", "edema", "hernia"), "multilabel")
    )
    assert found == pytest.approx({"mass": 0.4, "edema": 0.4, "hernia": 0.5})
    assert "val tells no threshold of hernia" in caplog.text


def test_only_the_positive_class_of_a_binary_task_has_a_threshold() -> None:
    rows = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    binary = Predictions("val", tuple("ab"), np.array([0, 1]), rows, ("no", "yes"), "binary")
    assert choose_thresholds(binary) == {"yes": pytest.approx(0.45)}
    for task in ("multiclass", "ordinal"):
        assert choose_thresholds(replace(binary, task=task)) == {}
