from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medexp.evaluation.aim import Aim
from medexp.evaluation.roc_points import RocPoints


def youden(labels: np.ndarray, scores: np.ndarray, at: float) -> float:
    called = scores.astype(np.float64) >= at
    return float(called[labels == 1].mean() - called[labels == 0].mean())


def threshold(labels: np.ndarray, scores: np.ndarray, aim: str = "youden") -> float:
    points = RocPoints(labels, scores)
    (found,) = points.chosen(Aim.parse(aim), points.sensitivity[np.newaxis], points.specificity[np.newaxis])
    return float(points.thresholds[found])


def chosen(labels: list[int], scores: list[float], aim: str = "youden") -> float:
    return threshold(np.array(labels), np.array(scores, np.float32), aim)


def test_a_worked_example() -> None:
    # J is 2/3 from 0.4 on (all positives, one of three negatives), 1/3 at most elsewhere
    assert chosen([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.4, 0.5, 0.6, 0.9]) == pytest.approx(0.3)


def test_perfect_separation_is_decided_halfway() -> None:
    assert chosen([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == pytest.approx(0.5)


def test_of_equal_maxima_the_highest_sensitivity_is_taken() -> None:
    # J is 1/2 from 0.8 on (one of two positives) and from 0.4 on (both, but one of two negatives)
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.2, 0.4, 0.6, 0.8])
    found = threshold(labels, scores)
    assert found == pytest.approx(0.3)
    assert (scores[labels == 1] >= found).all()


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
    assert youden(labels, scores, threshold(labels, scores)) == pytest.approx(best)


@given(every_score(st.integers(1, 99).map(lambda i: i / 100)))
def test_a_score_moved_by_a_rounding_keeps_its_side(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)
    found = threshold(labels, scores)
    for moved in (scores - 1e-5, scores + 1e-5):
        assert ((moved >= found) == (scores >= found)).all()


ONE, SIX_TENTHS = np.float32(1), np.float32(0.6)


@pytest.mark.parametrize(
    ("negative", "positive"),
    [(1e-8, 5e-7), (np.nextafter(ONE, np.float32(0)), ONE), (SIX_TENTHS, np.nextafter(SIX_TENTHS, ONE))],
    ids=["both near 0", "both near 1", "neighbours"],
)
def test_scores_that_are_separated_stay_separated(negative: float, positive: float) -> None:
    labels, scores = np.array([0, 1]), np.array([negative, positive], np.float32)
    assert youden(labels, scores, threshold(labels, scores)) == 1


SIX = ([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.4, 0.5, 0.6, 0.9])


@pytest.mark.parametrize(
    ("aim", "wanted"),
    [
        ("sensitivity>=0.9", 0.3),  # all three positives, and one negative with them
        ("sensitivity>=0.5", 0.55),  # two of three are enough: and no negative
        ("sensitivity>=0.3", 0.55),  # one would be enough, but the second costs nothing
        ("specificity>=0.9", 0.55),
        ("specificity>=0.6", 0.3),
        ("specificity>=0.3", 0.3),  # the third negative would gain nothing
        ("cost=10", 0.3),
        ("cost=0.1", 0.55),
    ],
)
def test_the_point_is_the_best_that_serves_the_aim(aim: str, wanted: float) -> None:
    assert chosen(*SIX, aim) == pytest.approx(wanted)


def test_costs_are_those_of_missed_findings_and_false_alarms() -> None:
    labels, scores = [1, 0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5]  # three false alarms find one more
    assert chosen(labels, scores, "cost=2.9") == pytest.approx(0.45)
    assert chosen(labels, scores, "cost=3.1") == pytest.approx(0.05)


def test_a_specificity_that_only_calling_nothing_has_gives_the_nearest() -> None:
    assert chosen([0, 1, 1, 0], [0.1, 0.3, 0.7, 0.9], "specificity>=0.9") == pytest.approx(0.2)


@given(every_score(st.integers(1, 20).map(lambda i: i / 20)), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_no_other_threshold_with_the_sensitivity_has_a_better_specificity(
    rows: list[tuple[int, float]], least: float
) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def at(limit: float) -> tuple[float, float]:
        called = scores >= limit
        return float(called[labels == 1].mean()), float((~called)[labels == 0].mean())

    sensitivity, specificity = at(threshold(labels, scores, f"sensitivity>={least}"))
    assert sensitivity >= least
    assert specificity == max(there for found, there in map(at, scores) if found >= least)


def test_weights_are_as_if_images_were_repeated() -> None:
    rng = np.random.default_rng(0)
    labels, scores = np.arange(30) % 2, rng.integers(0, 9, 30) / 10
    weights = rng.integers(1, 4, 30)
    many = RocPoints(labels.repeat(weights), scores.repeat(weights))
    found = RocPoints(labels, scores).shares(weights[np.newaxis])
    assert found[0][0] == pytest.approx(many.sensitivity)
    assert found[1][0] == pytest.approx(many.specificity)
