"""Two models on the same images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compared import THRESHOLDS, Bench, only_right
from sklearn import metrics as sk

from medexp.errors import DataError
from medexp.evaluation.comparison.matched import Discordant
from medexp.evaluation.comparison.paired import PairedDifference, paired_difference
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.predictions import Predictions


def compared(a: Predictions, b: Predictions, metric: str = "auc", **options: object) -> PairedDifference:
    settings = {"resamples": 400, "confidence": 0.95, **options}
    return paired_difference(a, b, metric=metric, thresholds_a=THRESHOLDS, thresholds_b=THRESHOLDS, **settings)


def test_the_difference_is_that_of_scikit_learns_areas_and_the_test_delongs() -> None:
    bench = Bench(0, images=400)
    a, b = bench.model(noise=0.5), bench.model(noise=1.5)
    found = compared(a, b)
    expected = sk.roc_auc_score(a.labels, a.scores) - sk.roc_auc_score(b.labels, b.scores)
    assert found.difference.value == pytest.approx(expected)
    assert found.test == "DeLong"
    assert found.difference.low < expected < found.difference.high
    assert found.better
    assert found.p_better > 0.99


@pytest.mark.parametrize("metric", ["f1", "average_precision", "log_loss", "mcc"])
def test_the_bootstrap_has_the_standard_error_that_new_images_would_show(metric: str) -> None:
    seen = []
    for seed in range(80):
        bench = Bench(seed, images=150)
        seen.append(compared(bench.model(noise=0.5), bench.model(noise=1.5), metric, resamples=60))
    errors = [found.standard_error for found in seen]
    assert np.mean(errors) == pytest.approx(np.std([found.difference.value for found in seen]), rel=0.25)


def test_estimates_of_each_are_those_of_its_evaluation() -> None:
    bench = Bench(1)
    a, b = bench.model(), bench.model()
    for metric in ("auc", "average_precision", "sensitivity", "brier"):
        found = compared(a, b, metric)
        expected = metric_estimates(a, thresholds=THRESHOLDS, resamples=400, confidence=0.95, only=[metric])[metric]
        assert (found.a.value, found.a.low, found.a.high) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )


def test_a_share_of_independent_images_is_tested_exactly_and_has_tangos_interval() -> None:
    bench = Bench(2, images=40)
    right_a, right_b = np.ones(40, bool), np.ones(40, bool)
    right_a[:1], right_b[5:12] = False, False
    a, b = (bench.of_scores(only_right(right, bench.labels)) for right in (right_a, right_b))
    found, counted = compared(a, b, "accuracy"), Discordant(7, 1, 40)
    assert found.test == "McNemar, exact"
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)
    assert found.mcnemar == found.p_value
    assert (found.difference.low, found.difference.high) == pytest.approx(counted.interval(0.95))


def test_two_that_miss_nothing_among_few_may_still_differ() -> None:
    bench = Bench(3, images=30)
    a, b = (bench.of_scores(only_right(np.ones(30, bool), bench.labels) * shrink) for shrink in (1.0, 0.9))
    found = compared(a, b, "sensitivity")
    assert found.difference.value == 0
    assert found.difference.low < -0.1
    assert not found.not_inferior(0.05)
    assert found.resolvable > 0.05


def test_areas_that_are_perfect_both_have_an_interval_with_a_width() -> None:
    bench = Bench(3, images=30)
    a, b = (bench.of_scores(only_right(np.ones(30, bool), bench.labels) * shrink) for shrink in (1.0, 0.9))
    assert compared(a, b).difference.low < -0.05


def test_a_model_does_not_differ_from_itself() -> None:
    model = Bench(4).model()
    found = compared(model, model)
    assert (found.difference.low, found.difference.value, found.difference.high) == (0, 0, 0)
    assert (found.p_value, found.p_better, found.images_needed) == (1, 0.5, None)


def test_images_of_one_patient_are_drawn_together() -> None:
    bench = Bench(5, images=300, groups=30)
    a, b = bench.model(noise=0.8), bench.model(noise=1.2)
    by_group = compared(a, b)
    by_image = compared(replace(a, groups=None), replace(b, groups=None))
    assert (by_group.unit, by_group.units, by_group.test) == ("group", 30, "DeLong by group")
    assert by_group.standard_error > 1.3 * by_image.standard_error
    assert by_group.mcnemar is None
    assert by_image.mcnemar is not None


@pytest.mark.parametrize("metric", ["auc", "f1", "log_loss", "accuracy"])
def test_the_images_of_one_patient_prove_nothing(metric: str) -> None:
    bench = Bench(3, images=200)
    a, b = (replace(bench.model(noise=noise), groups=("p",) * 200) for noise in (0.3, 3.0))
    found = compared(a, b, metric)
    assert found.difference.value != 0
    assert found.p_value > 0.3
    assert found.difference.low < 0 < found.difference.high
    assert 0.1 < found.p_better < 0.9


def test_the_order_of_images_does_not_matter() -> None:
    bench = Bench(6)
    a, b = bench.model(), bench.model()
    order = np.random.default_rng(0).permutation(len(b.keys))
    assert compared(a, b.take(order)) == compared(a, b)


def test_other_images_are_refused_by_name() -> None:
    bench = Bench(7)
    a, b = bench.model(), bench.model()
    with pytest.raises(DataError, match=r"tested on other images.*challenger and champion.*200 and 199.*image 0"):
        compared(a, b.take(np.arange(1, 200)), names=("challenger", "champion"))
    flipped = b.labels.copy()
    flipped[3] = 1 - flipped[3]
    with pytest.raises(DataError, match=r"other labels.*1 of 200 differ: image 3"):
        compared(a, replace(b, labels=flipped))
    with pytest.raises(DataError, match="other questions"):
        compared(a, replace(b, class_names=("negative", "nodule")))


def test_an_unknown_metric_is_an_error_that_lists_what_there_is() -> None:
    bench = Bench(8)
    with pytest.raises(DataError, match=r"Unknown metric. Received: 'ouc'.*accuracy, auc.*Did you mean 'auc'"):
        compared(bench.model(), bench.model(), "ouc")


def test_of_a_loss_the_smaller_one_is_better() -> None:
    bench = Bench(9, images=600)
    found = compared(bench.model(noise=0.3), bench.model(noise=2.0), "log_loss")
    assert found.mode == "min"
    assert found.difference.value < 0 < found.advantage.low
    assert found.better
    assert found.p_better > 0.99


def test_one_point_on_two_hundred_images_is_not_shown_and_says_how_many_images_it_needs() -> None:
    bench = Bench(10, images=200)
    right_a, right_b = np.ones(200, bool), np.ones(200, bool)
    right_a[:9], right_b[9:20] = False, False
    a, b = (bench.of_scores(only_right(right, bench.labels)) for right in (right_a, right_b))
    found = compared(a, b, "accuracy")
    assert found.difference.value == pytest.approx(0.01)
    assert not found.better
    assert 7000 < (found.images_needed or 0) < 9500  # (2.8 / 0.01)^2 * 10 % discordance = 7,840; a little more, of few


@pytest.mark.parametrize(("images", "points"), [(156, 0.071), (624, 0.0355)])
def test_the_smallest_resolvable_difference_is_that_of_the_textbook(images: int, points: float) -> None:
    """2.8 standard errors of the difference of two accuracies that disagree on a tenth of the images."""
    bench = Bench(11, images=images)
    half = round(images * 0.05)
    right_a, right_b = np.ones(images, bool), np.ones(images, bool)
    right_a[:half], right_b[half : 2 * half] = False, False
    a, b = (bench.of_scores(only_right(right, bench.labels)) for right in (right_a, right_b))
    assert compared(a, b, "accuracy").resolvable == pytest.approx(points, rel=0.05)


def test_practical_equivalence_is_the_chance_of_a_difference_that_does_not_matter() -> None:
    bench = Bench(12, images=2000)
    a = bench.model()
    b = bench.of_scores(np.clip(a.scores + 0.001 * np.random.default_rng(0).normal(size=2000), 0, 1))
    found = compared(a, b, rope=0.01)
    assert found.p_equivalent > 0.99
    assert compared(a, bench.model(noise=3.0), rope=0.01).p_equivalent < 0.01
    assert found.not_inferior(0.01)
