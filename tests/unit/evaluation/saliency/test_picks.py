"""Which images are shown."""

from __future__ import annotations

import numpy as np
import pytest

from medexp.evaluation.predictions import Predictions
from medexp.evaluation.saliency.picks import answers, pick
from medexp.types import Task


def predictions(
    labels: list[int] | list[list[int]], probabilities: list[list[float]], names: tuple[str, ...], task: Task
) -> Predictions:
    keys = tuple(str(i) for i in range(len(labels)))
    return Predictions("test", keys, np.array(labels), np.array(probabilities, np.float32), names, task)


def binary(scores: list[float], labels: list[int]) -> Predictions:
    return predictions(labels, [[1 - score, score] for score in scores], ("no", "yes"), "binary")


def places(found: dict[str, tuple[object, ...]]) -> dict[str, list[int]]:
    return {kind: [each.image for each in group] for kind, group in found.items()}  # type: ignore[attr-defined]


def test_the_surest_right_the_surest_wrong_and_the_least_sure_are_told_apart() -> None:
    scores, labels = [0.99, 0.9, 0.51, 0.02, 0.97, 0.1, 0.45], [1, 1, 1, 0, 0, 1, 0]
    found = places(pick(binary(scores, labels), thresholds={"yes": 0.5}, count=2))
    assert found == {"surest right": [0, 3], "surest wrong": [4, 5], "least sure": [2, 6]}


def test_sure_is_what_is_far_from_the_threshold_not_from_one_half() -> None:
    found = pick(binary([0.12, 0.6, 0.09, 0.3], [1, 1, 0, 1]), thresholds={"yes": 0.1}, count=4)
    assert [(p.image, p.answer) for p in found["least sure"][:2]] == [(0, "yes"), (2, "no")]
    assert found["least sure"][0].sureness == pytest.approx(0.02 / 0.9)
    assert found["surest right"][0].image == 1


def test_answers_take_turns_among_the_surest_so_that_one_class_does_not_fill_the_page() -> None:
    scores = [0.99, 0.98, 0.97, 0.96, 0.3, 0.4]
    found = pick(binary(scores, [1, 1, 1, 1, 0, 0]), thresholds={"yes": 0.5}, count=4)
    assert [p.image for p in found["surest right"]] == [0, 1, 4, 5]


def test_classes_that_are_near_each_other_are_the_least_sure() -> None:
    rows = [[0.8, 0.1, 0.1], [0.4, 0.35, 0.25], [0.05, 0.48, 0.47], [0.1, 0.1, 0.8]]
    found = pick(predictions([0, 0, 2, 0], rows, ("a", "b", "c"), "multiclass"), thresholds={}, count=2)
    assert places(found) == {"surest right": [0, 1], "surest wrong": [3, 2], "least sure": [2, 1]}
    wrong = found["surest wrong"][0]
    assert (wrong.label, wrong.answer, wrong.output, wrong.sign) == ("a", "c", 2, 1)
    assert wrong.probability == pytest.approx(0.8)


def test_a_finding_that_is_there_is_shown_though_most_are_absent_for_sure() -> None:
    rows = [[0.001, 0.002], [0.003, 0.004], [0.7, 0.005], [0.006, 0.8], [0.9, 0.3]]
    found = pick(
        predictions([[0, 0], [0, 0], [1, 0], [0, 0], [1, 1]], rows, ("heart", "lung"), "multilabel"),
        thresholds={"heart": 0.5, "lung": 0.5},
        count=3,
    )
    assert {p.answer for p in found["surest right"]} >= {"heart", "no heart"}
    assert [(p.image, p.label, p.answer) for p in found["surest wrong"]] == [
        (3, "no lung", "lung"),
        (4, "lung", "no lung"),
    ]
    absent = found["surest wrong"][1]
    assert (absent.output, absent.sign, round(absent.probability, 6)) == (1, -1, 0.7)


def test_a_common_finding_leaves_room_for_a_rare_one() -> None:
    rows = [[0.99, 0.5], [0.98, 0.5], [0.97, 0.5], [0.5, 0.6]]
    found = pick(
        predictions([[1, 0], [1, 0], [1, 0], [0, 1]], rows, ("heart", "lung"), "multilabel"),
        thresholds={"heart": 0.55, "lung": 0.55},
        count=3,
    )
    assert "lung" in {p.answer for p in found["surest right"]}


def test_no_image_is_twice_in_a_kind() -> None:
    rows = [[0.999, 0.998, 0.997], [0.9, 0.1, 0.1]]
    names = ("a", "b", "c")
    found = pick(
        predictions([[1, 1, 1], [1, 0, 0]], rows, names, "multilabel"), thresholds=dict.fromkeys(names, 0.5), count=6
    )
    assert sorted(p.image for p in found["surest right"]) == [0, 1]
    assert sorted(p.image for p in found["least sure"]) == [0, 1]


@pytest.mark.parametrize(("grade", "unit"), [(0, (0, -1)), (1, (0, 1)), (2, (1, 1))])
def test_a_grade_is_told_by_the_unit_that_says_it_is_above_the_one_before(grade: int, unit: tuple[int, int]) -> None:
    rows = np.full((1, 3), 0.1)
    rows[0, grade] = 0.8
    (found,) = answers(predictions([0], rows.tolist(), ("a", "b", "c"), "ordinal"), np.array([0]), thresholds={})
    assert (found.output, found.sign) == unit


def test_the_answer_about_an_image_is_its_likeliest_finding() -> None:
    rows = [[0.2, 0.4], [0.9, 0.8]]
    both = predictions([[0, 0], [1, 1]], rows, ("heart", "lung"), "multilabel")
    found = answers(both, np.array([1, 0]), thresholds={"heart": 0.5, "lung": 0.5})
    assert [(p.image, p.answer, p.output) for p in found] == [(1, "heart", 0), (0, "no lung", 1)]


def test_where_all_is_right_nothing_is_wrong() -> None:
    found = pick(binary([0.9, 0.1], [1, 0]), thresholds={"yes": 0.5}, count=3)
    assert found["surest wrong"] == ()
    assert len(found["surest right"]) == 2


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("inf")])
def test_thresholds_at_the_end_of_the_scale_are_no_division_by_nothing(threshold: float) -> None:
    found = pick(binary([0.0, 1.0, 0.5], [0, 1, 1]), thresholds={"yes": threshold}, count=3)
    assert all(0 <= p.sureness <= 1 for group in found.values() for p in group)
