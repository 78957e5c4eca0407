from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from medexp.decision.conformal import Conformal
from medexp.decision.feature_space import FeatureSpace
from medexp.evaluation.abstention import abstention_section, draw_abstention, fit_conformal, fit_feature_space
from medexp.evaluation.abstention.clopper_pearson import clopper_pearson, worth
from medexp.evaluation.evidence import AbstentionSection
from medexp.evaluation.predictions import Predictions
from medexp.types import Task

SIZE = 6
AT = {"nodule": 0.5}


@pytest.fixture(scope="module")
def space() -> FeatureSpace:
    rng = np.random.default_rng(0)
    return fit_feature_space(rng.random((200, SIZE)), rng.random((100, SIZE)), false_refusal=0.05)


def predictions(labels: list[int], scores: list[float]) -> Predictions:
    probabilities = np.stack([1 - np.array(scores), np.array(scores)], axis=1)
    keys = tuple(map(str, range(len(labels))))
    return Predictions("test", keys, np.array(labels), probabilities, ("clear", "nodule"), "binary")


def section(
    test: Predictions, conformal: Conformal, space: FeatureSpace, thresholds: dict[str, float] | None = None
) -> AbstentionSection:
    return abstention_section(
        test,
        conformal=conformal,
        space=space,
        features_test=np.random.default_rng(1).random((len(test.keys), SIZE)),
        thresholds=AT if thresholds is None else thresholds,
        confidence=0.95,
    )


def test_sets_are_counted_by_class_and_by_size(space: FeatureSpace) -> None:
    test = predictions([0, 0, 0, 0, 1, 1, 1, 1, 1], [0.1, 0.2, 0.6, 0.9, 0.9, 0.8, 0.6, 0.3, 0.45])
    found = section(test, Conformal(0.7, {"clear": 0.4, "nodule": 0.4}), space)
    assert {name: estimate.value for name, estimate in found.achieved.items()} == pytest.approx(
        {"clear": 3 / 4, "nodule": 4 / 5, "all": 7 / 9}
    )
    assert found.sizes == pytest.approx({"0": 0, "1": 6 / 9, "2": 3 / 9})
    assert found.unsure == pytest.approx(3 / 9)
    assert found.accuracy_if_sure.value == pytest.approx(4 / 6)
    assert found.coverage == 0.7
    assert found.limits == {"clear": 0.4, "nodule": 0.4}


def test_a_single_answer_that_is_not_the_decision_is_no_sure_one(space: FeatureSpace) -> None:
    test = predictions([1, 0], [0.55, 0.1])
    conformal = Conformal(0.7, {"clear": 0.4, "nodule": 0.6})  # of the first, clear alone is in the set
    assert section(test, conformal, space).unsure == 0.5
    assert section(test, conformal, space, {"nodule": 0.56}).unsure == 0


def test_where_no_answer_is_single_the_accuracy_of_these_is_no_number(space: FeatureSpace) -> None:
    found = section(predictions([0, 1], [0.5, 0.5]), Conformal(0.9, {"clear": 0.1, "nodule": 0.1}), space)
    assert found.unsure == 1
    assert np.isnan(found.accuracy_if_sure.value)


def test_a_class_without_test_images_is_left_out(space: FeatureSpace) -> None:
    found = section(predictions([0, 0], [0.1, 0.2]), Conformal(0.9, {"clear": 0.1, "nodule": 0.1}), space)
    assert list(found.achieved) == ["clear", "all"]
    assert list(found.within) == ["clear", "all"]
    assert list(found.limits) == ["clear", "nodule"]


def test_a_coverage_that_is_missed_by_chance_is_within_and_one_missed_by_more_is_not(space: FeatureSpace) -> None:
    conformal = Conformal(0.9, {"clear": 0.5, "nodule": 0.5}, images={"clear": 100, "nodule": 100})
    labels = [0] * 100 + [1] * 100
    few = predictions(labels, [0.1] * 85 + [0.9] * 15 + [0.9] * 100)
    many = predictions(labels, [0.1] * 75 + [0.9] * 25 + [0.9] * 100)
    assert section(few, conformal, space).within == {"clear": True, "nodule": True, "all": True}
    assert section(many, conformal, space).within == {"clear": False, "nodule": True, "all": False}
    exact = replace(conformal, images={})  # limits of unknown origin count as right: the binomial alone
    assert section(few, exact, space).within["clear"]
    assert not section(many, exact, space).within["clear"]
    little = replace(conformal, images={"clear": 10, "nodule": 100})  # a limit from ten images may lie far off
    assert section(many, little, space).within["clear"]


def test_a_promise_that_is_kept_is_called_broken_in_one_case_of_forty(space: FeatureSpace) -> None:
    rng, broken = np.random.default_rng(0), []

    def drawn(images: int) -> Predictions:
        labels = np.arange(images) % 2
        return predictions(labels.tolist(), (1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5)))).tolist())

    for _ in range(400):
        within = section(drawn(200), fit_conformal(drawn(120), coverage=0.9), space).within
        broken += [not within["clear"], not within["nodule"]]
    assert 0.008 < np.mean(broken) < 0.035


def test_a_limit_for_want_of_images_promises_nothing_that_could_be_broken(space: FeatureSpace) -> None:
    conformal = Conformal(0.9, {"clear": 0.0, "nodule": 0.5}, images={"clear": 3, "nodule": 50})
    assert section(predictions([0, 0], [1.0, 1.0]), conformal, space).within["clear"]


def test_of_several_labels_absence_is_counted_beside_presence(space: FeatureSpace) -> None:
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 1]])
    probabilities = np.array([[0.9, 0.1], [0.3, 0.2], [0.6, 0.9], [0.1, 0.8]])
    test = Predictions("test", tuple("abcd"), labels, probabilities, ("edema", "mass"), "multilabel")
    conformal = Conformal(0.6, {"edema": 0.4, "mass": 0.5}, {"edema": 0.5, "mass": 0.5})
    found = section(test, conformal, space, {"edema": 0.5, "mass": 0.5})
    assert {name: estimate.value for name, estimate in found.achieved.items()} == pytest.approx(
        {"edema": 0.5, "absent/edema": 0.5, "mass": 1, "absent/mass": 2 / 3, "all": 5 / 8}
    )
    assert found.limits == {"edema": 0.4, "absent/edema": 0.5, "mass": 0.5, "absent/mass": 0.5}
    assert found.sizes == pytest.approx({"0": 0, "1": 1})
    assert found.accuracy_if_sure.value == pytest.approx(5 / 8)


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_other_tasks_answer_with_the_most_probable_class(task: Task, space: FeatureSpace) -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.35, 0.25]])
    test = Predictions("test", tuple("abc"), np.array([0, 1, 2]), probabilities, ("a", "b", "c"), task)
    found = section(test, Conformal(0.8, {"a": 0.3, "b": 0.32, "c": 0.3}), space, {})
    assert found.sizes == pytest.approx({"0": 0, "1": 2 / 3, "2": 1 / 3})
    assert found.accuracy_if_sure.value == 0.5


def test_strange_images_are_counted(space: FeatureSpace) -> None:
    test = predictions([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8])
    features = np.random.default_rng(1).random((4, SIZE))
    features[2] = np.nan
    expected = space.refused(features)
    found = abstention_section(
        test,
        conformal=Conformal(0.9, {"clear": 0.5, "nodule": 0.5}),
        space=space,
        features_test=features,
        thresholds=AT,
        confidence=0.95,
    )
    assert found.refused.value == expected.mean() >= 0.25
    assert (found.threshold, found.false_refusal) == (space.threshold, 0.05)


@pytest.mark.parametrize(("hits", "images"), [(0, 20), (20, 20), (13, 20), (450, 500)])
def test_intervals_are_the_exact_ones(hits: int, images: int) -> None:
    found = clopper_pearson(np.arange(images) < hits, confidence=0.9)
    exact = binomtest(hits, images).proportion_ci(0.9, method="exact")
    assert (found.value, found.low, found.high) == pytest.approx((hits / images, exact.low, exact.high))


def test_images_are_worth_what_the_spread_between_patients_leaves_of_them() -> None:
    patients = np.repeat(np.arange(100), 6)
    rng = np.random.default_rng(0)
    alike, apart = np.repeat(rng.random(100) < 0.7, 6), rng.random(600) < 0.7
    assert worth(alike, groups=patients) == pytest.approx(99)
    assert 450 < worth(apart, groups=patients) <= 600
    assert worth(apart, groups=None) == 600
    assert worth(np.ones(600), groups=patients) == 100  # the spread of all alike cannot be seen
    assert worth(np.array([0, 1, 1]), groups=list("aaa")) == 1
    assert worth(np.ones(0), groups=np.ones(0)) == 0


def test_images_of_one_patient_that_agree_count_as_fewer(space: FeatureSpace) -> None:
    labels, scores = [0] * 100 + [1] * 100, [0.1] * 80 + [0.9] * 20 + [0.9] * 100
    alone = predictions(labels, scores)
    patients = replace(alone, groups=tuple(f"p{i // 10}" for i in range(200)))
    conformal = Conformal(0.9, {"clear": 0.5, "nodule": 0.5}, images={"clear": 200, "nodule": 200})
    one, many = section(patients, conformal, space), section(alone, conformal, space)
    for name in ("clear", "all"):
        assert one.achieved[name].low < many.achieved[name].low
        assert one.achieved[name].high > many.achieved[name].high
    assert not many.within["clear"]
    assert one.within["clear"]  # two of ten patients, and not twenty images


def test_the_picture_shows_coverage_and_strangeness(tmp_path: Path, space: FeatureSpace) -> None:
    test = predictions([0, 0, 1, 1], [0.1, 0.7, 0.9, 0.8])
    rng = np.random.default_rng(4)
    val, features = rng.random((30, SIZE)), rng.random((40, SIZE))
    kept = section(test, Conformal(0.5, {"clear": 0.5, "nodule": 0.5}), space)

    def drawn(found: AbstentionSection, val: np.ndarray | None, test: np.ndarray, space: FeatureSpace = space) -> bytes:
        draw_abstention(found, tmp_path / "new" / "a.png", space=space, features_val=val, features_test=test)
        with Image.open(tmp_path / "new" / "a.png") as image:
            assert image.format == "PNG"
            assert image.width > 800
        return (tmp_path / "new" / "a.png").read_bytes()

    first = drawn(kept, val, features)
    assert drawn(kept, val, features) == first
    assert drawn(replace(kept, within={**kept.within, "clear": False}), val, features) != first
    assert drawn(kept, None, features) != first
    assert drawn(kept, val, features[:20]) != first
    assert drawn(kept, val, features, replace(space, threshold=np.inf)) != first
