"""How well probabilities say how often: agreement with other programs, and intervals that hold the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from PIL import Image
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from medexp.evaluation.calibration import apply_calibration, calibration_section
from medexp.evaluation.logits import activated, log_odds
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.reliability import draw_reliability, reliability
from medexp.types import TASKS, Calibration, Estimate, Task


def binary(labels: np.ndarray, scores: np.ndarray, groups: tuple[str, ...] | None = None) -> Predictions:
    exact = scores.astype(np.float32)
    rows = np.stack([1 - exact, exact], axis=1)
    return Predictions("test", tuple(map(str, range(len(rows)))), labels, rows, ("no", "yes"), "binary", groups)


def said(seed: int, images: int, *, times: float = 1.0, more: float = 0.0) -> Predictions:
    """True log odds are normal; those said are so many times as large, and so much more."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 1.5, images)
    labels = (rng.random(images) < activated(logits, task="binary")).astype(int)
    return binary(labels, activated(times * logits + more, task="binary"))


def classes(task: Task, images: int = 300) -> Predictions:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(3), images).astype(np.float32)
    labels = (rng.random((images, 3)) < rows).astype(int) if task == "multilabel" else np.arange(images) % 3
    if task == "binary":
        rows, labels = np.stack([1 - rows[:, 0], rows[:, 0]], axis=1), labels % 2
    names = ("no", "yes") if task == "binary" else ("a", "b", "c")
    return Predictions("test", tuple(map(str, range(images))), labels, rows, names, task)


def test_numbers_agree_with_scikit_learn_and_statsmodels() -> None:
    test = said(0, 400, times=2.0, more=0.3)
    found = reliability(test, resamples=0, confidence=0.95)
    observed, predicted = calibration_curve(test.labels, test.scores, n_bins=10, strategy="quantile")
    assert [each.predicted for each in found.bins] == pytest.approx(predicted, abs=1e-6)
    assert [each.observed.value for each in found.bins] == pytest.approx(observed)
    assert {each.images for each in found.bins} == {40}
    assert found.ece.value == pytest.approx(np.abs(observed - predicted).mean(), abs=1e-6)
    assert found.brier.value == pytest.approx(brier_score_loss(test.labels, test.scores))
    assert found.log_loss.value == pytest.approx(log_loss(test.labels, test.scores))
    odds = log_odds(test.scores)
    line = sm.GLM(test.labels, sm.add_constant(odds), family=sm.families.Binomial()).fit()
    assert found.slope.value == pytest.approx(line.params[1], abs=1e-6)
    shift = sm.GLM(test.labels, np.ones(400), family=sm.families.Binomial(), offset=odds).fit()
    assert found.intercept.value == pytest.approx(shift.params[0], abs=1e-6)
    assert found.slope.low == found.slope.value == found.slope.high


@pytest.mark.parametrize(
    ("times", "more", "slope", "intercept"), [(1.0, 0.0, 1.0, 0.0), (2.0, 0.0, 0.5, None), (1.0, 0.7, 1.0, -0.7)]
)
def test_slope_and_intercept_say_how_probabilities_are_wrong(
    times: float, more: float, slope: float, intercept: float | None
) -> None:
    found = reliability(said(1, 20_000, times=times, more=more), resamples=100, confidence=0.95)
    assert found.slope.value == pytest.approx(slope, abs=0.05)
    if intercept is not None:
        assert found.intercept.value == pytest.approx(intercept, abs=0.06)
    assert (found.ece.low < 1e-3) == (times == 1 and not more)


def held(value: Callable[[int], tuple[Estimate, ...]], truth: tuple[float, ...], repeats: int = 120) -> np.ndarray:
    """The share of repeats whose interval holds the truth, of each estimate."""
    every = [
        [each.low <= true <= each.high for each, true in zip(value(s), truth, strict=True)] for s in range(repeats)
    ]
    return np.mean(every, axis=0)


@pytest.mark.parametrize(("images", "times"), [(150, 1.0), (150, 2.0)])
def test_intervals_hold_what_many_images_say_as_often_as_they_promise(images: int, times: float) -> None:
    every = reliability(said(10**6, 300_000, times=times), resamples=0, confidence=0.95)
    truth = tuple(each.value for each in (every.slope, every.intercept, every.brier, every.log_loss))

    def estimates(seed: int) -> tuple[Estimate, ...]:
        found = reliability(said(seed, images, times=times), resamples=200, confidence=0.95)
        return found.slope, found.intercept, found.brier, found.log_loss

    share = held(estimates, truth)
    assert (share > 0.89).all(), share  # of 120 repeats, three standard deviations below 0.95
    assert (share < 1).all(), share


@pytest.mark.parametrize("times", [1.0, 2.5])
def test_the_error_of_true_probabilities_may_be_nought_and_that_of_others_is_held(times: float) -> None:
    truth = reliability(said(10**6, 300_000, times=times), resamples=0, confidence=0.95).ece.value
    truth = 0.0 if times == 1 else truth  # what is left is chance

    def estimates(seed: int) -> tuple[Estimate, ...]:
        return (reliability(said(seed, 400, times=times), resamples=200, confidence=0.95).ece,)

    assert held(estimates, (truth,))[0] > 0.89


def test_images_of_one_patient_count_as_one_where_they_agree() -> None:
    alone = said(3, 100)
    rows = np.arange(100).repeat(4)
    copies = binary(alone.labels[rows], alone.scores[rows])
    patients = replace(copies, groups=tuple(map(str, rows)))
    widths = []
    for test in (alone, copies, patients):
        found = reliability(test, resamples=500, confidence=0.95)
        widths.append([e.high - e.low for e in (found.slope, found.brier, found.bins[4].observed)])
    one, many, grouped = np.array(widths)
    assert (many < 0.7 * one).all()
    assert grouped == pytest.approx(one, rel=0.25)


@pytest.mark.parametrize("task", TASKS)
def test_every_question_of_a_task_is_asked(task: Task) -> None:
    test = classes(task)
    found = reliability(test, resamples=50, confidence=0.95)
    questions = {"binary": 1, "ordinal": 2}.get(task, 3)
    assert sum(each.images for each in found.bins) == 300 * questions
    assert len(found.bins) == 10
    assert found.ece.low <= found.ece.value <= found.ece.high
    if task == "multiclass":
        assert found.intercept.value == pytest.approx(0, abs=1e-6)  # whatever is said adds up to one


def test_equal_probabilities_stay_in_one_bin() -> None:
    scores = np.array([0.0] * 70 + [0.25] * 20 + [1.0] * 10)
    found = reliability(binary(np.arange(100) % 2, scores), resamples=50, confidence=0.95)
    assert [(each.images, each.predicted) for each in found.bins] == [(70, 0.0), (20, 0.25), (10, 1.0)]


def test_scores_that_separate_the_answers_have_no_slope() -> None:
    found = reliability(binary(np.arange(40) // 20, np.linspace(0.1, 0.9, 40)), resamples=50, confidence=0.95)
    assert np.isnan([found.slope.value, found.slope.low, found.slope.high]).all()
    assert np.isfinite([found.intercept.value, found.ece.high]).all()


def test_a_bin_without_a_mistake_has_an_interval() -> None:
    found = reliability(binary(np.arange(40) // 20, np.linspace(0.1, 0.9, 40)), resamples=50, confidence=0.95)
    first = found.bins[0].observed
    assert (first.value, first.low) == (0, 0)
    assert first.high > 0.3  # 0 of 4


def test_the_diagram_shows_before_and_after(tmp_path: Path) -> None:
    test = said(0, 500, times=3.0)
    pictures = []
    for method, scale in (("temperature", 1 / 3), ("temperature", 0.6), ("none", 1.0)):
        fitted = Calibration("temperature", (scale,), (0.0,)) if method != "none" else Calibration("none")
        after = apply_calibration(test, fitted)
        section = calibration_section(fitted, before=test, after=after, resamples=50, confidence=0.95)
        draw_reliability(section, tmp_path / "new" / "a.png")
        with Image.open(tmp_path / "new" / "a.png") as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    assert all(0.01 < (picture < 200).any(axis=2).mean() < 0.5 for picture in pictures)
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1] != pictures[2]).any()
