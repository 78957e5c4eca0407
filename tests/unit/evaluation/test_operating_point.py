"""Operating points serve a stated aim, and what they achieve is told with its doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medexp.decision.operating_point import OperatingPoint
from medexp.errors import ConfigError, DataError
from medexp.evaluation.aim import Aim
from medexp.evaluation.operating_point import choose_operating_point, choose_thresholds
from medexp.evaluation.predictions import Predictions
from medexp.types import Estimate, Task

NAMES = ("no", "yes")


def binary(labels: np.ndarray, scores: np.ndarray) -> Predictions:
    exact = scores.astype(np.float32)
    return Predictions(
        "val", tuple(map(str, range(len(labels)))), labels, np.stack([1 - exact, exact], 1), NAMES, "binary"
    )


def drawn(seed: int, images: int, *, distance: float = 2.0) -> Predictions:
    """Half of them positive, log odds a normal deviate apart from those of the others."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 2
    return binary(labels, 1 / (1 + np.exp(-rng.normal(distance * (labels - 0.5), 1))))


def chosen(predictions: Predictions, aim: str = "youden", resamples: int = 100) -> OperatingPoint:
    return choose_operating_point(predictions, aim=aim, resamples=resamples, confidence=0.95)


def inside(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high


@pytest.mark.parametrize("aim", ["youden", "sensitivity>=0.95", "specificity>=0.9", "cost=10"])
def test_the_point_says_what_it_is_for_and_what_it_achieves(aim: str) -> None:
    val = drawn(0, 400)
    found = chosen(val, aim)
    called = val.decisions(found.thresholds)
    achieved = found.achieved["yes"]
    assert (found.aim, found.met) == (aim, True)
    assert achieved.sensitivity.value == called[val.labels == 1].mean()
    assert achieved.specificity.value == 1 - called[val.labels == 0].mean()
    for estimate in (achieved.sensitivity, achieved.specificity):
        assert estimate.low < estimate.value < estimate.high
    wanted = Aim.parse(aim)
    if wanted.kind in ("sensitivity", "specificity"):
        assert getattr(achieved, wanted.kind).value >= wanted.value
    assert choose_thresholds(val, aim=aim) == found.thresholds


@pytest.mark.parametrize("task", ["binary", "multilabel"])
@pytest.mark.parametrize("aim", ["youden", "sensitivity>=0.8", "specificity>=0.8", "cost=5"])
def test_no_threshold_is_a_half_unless_the_scores_say_so(task: Task, aim: str) -> None:
    """Scores of a network that never says more than 0.2."""
    low = drawn(1, 300)
    scores = low.scores / 5
    if task == "binary":
        val = binary(low.labels, scores)
    else:
        labels = np.stack([low.labels, np.zeros(300, int), np.ones(300, int)], axis=1)  # one that none has, one all
        val = Predictions("val", low.keys, labels, np.stack([scores] * 3, axis=1), ("a", "b", "c"), "multilabel")
    for name, threshold in chosen(val, aim).thresholds.items():
        assert threshold < 0.2 or (name == "b" and threshold > scores.max())
        assert threshold != 0.5


def test_a_finding_that_validation_tells_nothing_of_is_named_and_keeps_what_it_knows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]])
    scores = np.array([[0.1, 0.1, 0.6], [0.2, 0.8, 0.1], [0.6, 0.6, 0.1], [0.9, 0.2, 0.1]], np.float32)
    val = Predictions("val", tuple("abcd"), labels, scores, ("mass", "edema", "hernia"), "multilabel")
    found = chosen(val)
    assert found.thresholds == pytest.approx({"mass": 0.4, "edema": 0.4, "hernia": 0.8})  # above all that have none
    assert set(found.achieved) == {"mass", "edema"}
    assert not found.met
    assert "val tells no threshold of hernia, which no image has" in caplog.text


def test_a_binary_split_with_one_answer_is_refused() -> None:
    val = drawn(0, 20)
    with pytest.raises(DataError, match=r"val split has no positive image.*Override: a larger data\.split\.val"):
        chosen(replace(val, labels=np.zeros(20, int)))


def test_an_aim_that_only_calling_everything_positive_reaches_is_not_met(caplog: pytest.LogCaptureFixture) -> None:
    val = binary(np.array([1, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]))
    found = chosen(val, "sensitivity>=0.95")
    assert not found.met
    assert found.achieved["yes"].sensitivity.value == 1
    assert "val: no threshold reaches sensitivity>=0.95 for yes" in caplog.text
    assert not chosen(binary(np.array([0, 1, 1, 0]), np.array([0.1, 0.3, 0.7, 0.9])), "specificity>=0.9").met


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_the_most_probable_class_needs_no_threshold(task: Task) -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    rows = np.eye(3)[[0, 1, 1, 1, 2, 0]].astype(np.float32)
    found = chosen(Predictions("val", tuple("abcdef"), labels, rows, ("x", "y", "z"), task))
    assert (found.aim, dict(found.thresholds)) == ("most_probable", {})
    assert {name: each.sensitivity.value for name, each in found.achieved.items()} == {"x": 0.5, "y": 1.0, "z": 0.5}
    assert found.achieved["y"].specificity.value == 3 / 4
    assert found.achieved["y"].sensitivity.low < 1  # two of two


def test_an_aim_that_says_nothing_to_a_task_is_named(caplog: pytest.LogCaptureFixture) -> None:
    rows = np.eye(3, dtype=np.float32)
    val = Predictions("val", tuple("abc"), np.arange(3), rows, ("x", "y", "z"), "multiclass")
    assert chosen(val, "cost=10").aim == "most_probable"
    assert "cost=10 has no meaning for a multiclass task" in caplog.text


def test_intervals_are_about_other_images_than_those_the_point_was_chosen_on() -> None:
    """95 % intervals hold what the threshold achieves on 100,000 others; the numbers themselves are too high."""
    others = drawn(10**6, 100_000)
    held, excess, repeats = np.zeros(2), np.zeros(2), 300
    for seed in range(repeats):
        point = chosen(drawn(seed, 120), resamples=100)
        called = others.decisions(point.thresholds)
        true = called[1::2].mean(), 1 - called[::2].mean()
        achieved = point.achieved["yes"]
        for i, estimate in enumerate((achieved.sensitivity, achieved.specificity)):
            held[i] += inside(estimate, float(true[i]))
            excess[i] += estimate.value - true[i]
    assert (excess / repeats > 0.01).all()
    assert (held / repeats > 0.92).all()
    assert (held / repeats < 0.99).all()


def test_images_of_one_patient_widen_the_interval() -> None:
    alone = drawn(3, 60)
    rows = np.arange(60).repeat(5)
    copies = binary(alone.labels[rows], alone.scores[rows])
    patients = replace(copies, groups=tuple(map(str, rows)))
    widths = [
        p.sensitivity.high - p.sensitivity.low for p in (chosen(v).achieved["yes"] for v in (alone, copies, patients))
    ]
    assert widths[1] < 0.7 * widths[0]
    assert widths[2] == pytest.approx(widths[0], rel=0.15)


def test_without_resamples_there_are_no_intervals() -> None:
    achieved = chosen(drawn(0, 50), resamples=0).achieved["yes"]
    assert achieved.sensitivity.low == achieved.sensitivity.value == achieved.sensitivity.high


@pytest.mark.parametrize("text", ["", "0.5", "sensitivity>=1.5", "sensitivity>=0", "cost=0", "cost=-1", "auc"])
def test_what_is_no_aim_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"Available: youden, sensitivity>=0\.95.*Override: evaluation\.operating_point"
    ):
        Aim.parse(text)


def test_an_aim_may_have_spaces() -> None:
    assert Aim.parse("sensitivity >= 0.95") == Aim("sensitivity", 0.95)
    assert chosen(drawn(0, 50), "cost = 10").aim == "cost=10"
