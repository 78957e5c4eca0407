"""What an operating point does on test, and what its answers mean at another prevalence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medexp.decision.operating_point import OperatingPoint
from medexp.decision.predictive_values import predictive_values
from medexp.errors import ConfigError
from medexp.evaluation.evidence import OperatingSection
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.operating_section import operating_section
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.prevalence import prevalence_by_class

AT = OperatingPoint("sensitivity>=0.8", {"yes": 0.3})
FINDINGS = OperatingPoint("youden", {"a/b": 0.3, "c": 0.6})


def binary(seed: int = 0, images: int = 200, *, apart: float = 1.5) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 4 // 3
    scores = 1 / (1 + np.exp(-rng.normal(apart * (2 * labels - 1), 1)))
    rows = np.stack([1 - scores, scores], axis=1).astype(np.float32)
    return Predictions("test", tuple(map(str, range(images))), labels, rows, ("no", "yes"), "binary")


def findings() -> Predictions:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (100, 2))
    rows = np.clip(0.5 * labels + rng.random((100, 2)) / 2, 0, 1).astype(np.float32)
    return Predictions("test", tuple(map(str, range(100))), labels, rows, ("a/b", "c"), "multilabel")


def section(
    test: Predictions, chosen: OperatingPoint = AT, prevalence: float | dict[str, float] | None = None
) -> OperatingSection:
    return operating_section(test, chosen=chosen, prevalence=prevalence, resamples=100, confidence=0.95)


def test_the_test_split_is_decided_at_the_thresholds_of_validation() -> None:
    test = binary()
    found = section(test)
    every = metric_estimates(test, thresholds=AT.thresholds, resamples=100, confidence=0.95)
    assert found.chosen is AT
    assert found.test == {name: every[name] for name in ("sensitivity", "specificity", "ppv", "npv")}
    assert found.test["sensitivity"].value == (test.scores >= 0.3)[test.labels == 1].mean()
    assert list(found.curve) == ["yes"]
    assert found.at_prevalence == {}


def test_each_finding_has_numbers_of_its_own() -> None:
    found = section(findings(), FINDINGS)
    assert {"sensitivity", "sensitivity/a_b", "npv/c"} <= set(found.test)
    assert not any(name.startswith("auc") for name in found.test)


def test_predictive_values_are_those_of_the_stated_prevalence() -> None:
    test = binary(images=400)
    found = section(test, prevalence=0.02)
    shares = found.test["sensitivity"].value, found.test["specificity"].value
    at = found.at_prevalence["yes"]
    assert (at.ppv.value, at.npv.value) == pytest.approx(predictive_values(*shares, prevalence=0.02))
    assert at.prevalence == 0.02
    assert at.ppv.low < at.ppv.value < at.ppv.high < found.test["ppv"].low
    as_in_test = section(test, prevalence=0.25).at_prevalence["yes"]
    assert as_in_test.ppv.value == pytest.approx(found.test["ppv"].value)
    assert as_in_test.npv.value == pytest.approx(found.test["npv"].value)


def test_a_test_split_without_mistakes_does_not_make_a_positive_answer_certain() -> None:
    found = section(binary(images=100, apart=9), prevalence=0.01).at_prevalence["yes"]
    assert found.ppv.value == 1
    assert 0.05 < found.ppv.low < 0.4  # as few as 2 % false alarms are as many as there are findings
    assert found.npv.low < 1


def test_intervals_at_a_prevalence_hold_the_truth() -> None:
    every = binary(10**6, 200_000)
    called = every.decisions(AT.thresholds)
    shares = called[every.labels == 1].mean(), 1 - called[every.labels == 0].mean()
    truth = predictive_values(float(shares[0]), float(shares[1]), prevalence=0.05)
    held = np.zeros(2)
    for seed in range(40):
        found = section(binary(seed, 120), prevalence=0.05).at_prevalence["yes"]
        held += [each.low <= true <= each.high for each, true in zip((found.ppv, found.npv), truth, strict=True)]
    assert (held >= 35).all()


def test_images_of_one_patient_widen_what_is_known() -> None:
    test = binary(images=60)
    rows = np.arange(60).repeat(5)
    copies = replace(test.take(rows), groups=tuple(map(str, rows)))
    widths = [
        found.ppv.high - found.ppv.low
        for found in (
            section(t, prevalence=0.1).at_prevalence["yes"] for t in (test, replace(copies, groups=None), copies)
        )
    ]
    assert widths[1] < 0.7 * widths[0]
    assert widths[2] == pytest.approx(widths[0], rel=0.25)


def test_without_resamples_there_are_no_intervals() -> None:
    found = operating_section(binary(), chosen=AT, prevalence=0.1, resamples=0, confidence=0.95)
    ppv = found.at_prevalence["yes"].ppv
    assert ppv.low == ppv.value == ppv.high


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_a_class_of_several_is_asked_against_the_rest(task: str) -> None:
    labels = np.array([0, 0, 1, 1, 2, 2] * 10)
    rows = np.eye(3)[[0, 1, 1, 1, 2, 0] * 10].astype(np.float32)
    test = Predictions("test", tuple(map(str, range(60))), labels, rows, ("x", "y", "z"), "multiclass")
    found = section(replace(test, task=task), OperatingPoint("most_probable", {}), {"y": 0.5})  # type: ignore[arg-type]
    assert list(found.at_prevalence) == ["y"]
    assert found.at_prevalence["y"].ppv.value == pytest.approx(0.5 / (0.5 + 0.25 * 0.5))


def test_a_prevalence_is_of_the_positive_class_or_by_name() -> None:
    names = ("no", "yes")
    assert prevalence_by_class(None, class_names=names, task="binary") == {}
    assert prevalence_by_class(0.1, class_names=names, task="binary") == {"yes": 0.1}
    assert prevalence_by_class({"yes": 0.1}, class_names=names, task="multilabel") == {"yes": 0.1}


def test_a_prevalence_of_nobody_knows_what_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"of which class\? Received: 0\.1.*Override: 'evaluation\.prevalence={b: 0\.1}'"
    ):
        prevalence_by_class(0.1, class_names=("a", "b"), task="multilabel")
    with pytest.raises(ConfigError, match=r"no such class. Received: c. Available: a, b\. Override"):
        prevalence_by_class({"c": 0.1}, class_names=("a", "b"), task="multiclass")
