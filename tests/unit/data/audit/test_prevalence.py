from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medexp.data.audit.prevalence import class_findings, prevalence_findings


def labelled(make: Any, splits: dict[str, list[int]], **options: Any) -> Any:
    """Black images with these labels."""
    labels = np.concatenate([np.array(of, int) for of in splits.values()])
    where = [split for split, of in splits.items() for _ in of]
    return make([np.zeros((4, 4), np.uint8)] * len(labels), labels, where, **options)


def test_a_class_that_a_split_lacks_is_refused(make: Any) -> None:
    made = labelled(make, {"train": [0, 1] * 20, "val": [0] * 20, "test": [0, 1] * 10})
    (finding,) = class_findings(made, min_per_class=5)
    assert (finding.kind, finding.severity) == ("class_missing", "refuse")
    assert [instance.tokens for instance in finding.instances] == [("val/ill",)]


def test_a_split_without_images_is_refused(make: Any) -> None:
    made = labelled(make, {"train": [0, 1] * 20, "val": [0, 1] * 20})
    (finding,) = class_findings(made, min_per_class=5)
    assert [instance.tokens for instance in finding.instances] == [("test",)]


@pytest.mark.parametrize(("least", "expected"), [(10, []), (11, [("val/ill",)])])
def test_a_class_with_fewer_images_than_asked_for_is_a_warning(make: Any, least: int, expected: list[Any]) -> None:
    made = labelled(make, {"train": [0, 1] * 20, "val": [0] * 20 + [1] * 10, "test": [0, 1] * 15})
    tiny = [f for f in class_findings(made, min_per_class=least) if f.kind == "class_tiny"]
    assert [instance.tokens for finding in tiny for instance in finding.instances] == expected
    assert all(finding.severity == "warn" for finding in tiny)


def test_a_label_that_every_image_of_a_split_has_cannot_be_measured(make: Any) -> None:
    labels = [[1, 0], [0, 1], [1, 1]] * 10 + [[1, 0], [1, 1]] * 10 + [[0, 1], [1, 0]] * 10
    splits = ["train"] * 30 + ["val"] * 20 + ["test"] * 20
    made = make([np.zeros((4, 4), np.uint8)] * 70, np.array(labels), splits, classes="ab", task="multilabel")
    (finding,) = class_findings(made, min_per_class=3)
    assert [instance.tokens for instance in finding.instances] == [("val/a",)]
    assert finding.severity == "warn"


@pytest.mark.parametrize(
    ("split", "severity", "said"),
    [("train", "refuse", "train has no c."), ("val", "warn", "left out of its averages"), ("test", "warn", "left out")],
)
def test_a_label_that_train_lacks_is_refused_and_one_that_another_split_lacks_is_left_out(
    make: Any, split: str, severity: str, said: str
) -> None:
    splits = np.array(["train", "val", "test"]).repeat(20)
    labels = np.array([[1, 0, 1], [0, 1, 0]] * 30)
    labels[splits == split, 2] = 0
    made = make([np.zeros((4, 4), np.uint8)] * 60, labels, splits, classes="abc", task="multilabel")
    (finding,) = class_findings(made, min_per_class=3)
    assert (finding.kind, finding.severity) == ("class_missing", severity)
    assert [instance.tokens for instance in finding.instances] == [(f"{split}/c",)]
    assert said in finding.summary


def test_a_label_that_every_training_image_has_can_be_trained_on(make: Any) -> None:
    splits = np.array(["train", "val", "test"]).repeat(20)
    labels = np.array([[1, 0], [0, 1]] * 30)
    labels[splits == "train", 0] = 1
    made = make([np.zeros((4, 4), np.uint8)] * 60, labels, splits, classes="ab", task="multilabel")
    (finding,) = class_findings(made, min_per_class=3)
    assert (finding.severity, [instance.tokens for instance in finding.instances]) == ("warn", [("train/a",)])


def test_a_prevalence_that_differs_by_chance_is_no_finding(make: Any) -> None:
    made = labelled(make, {"train": [0, 1] * 200, "val": [0] * 27 + [1] * 23, "test": [0] * 21 + [1] * 29})
    assert prevalence_findings(made) == []


def test_a_difference_that_is_significant_but_small_is_no_finding(make: Any) -> None:
    made = labelled(make, {"train": [0, 1] * 5000, "val": [0] * 4700 + [1] * 5300, "test": [0, 1] * 100})
    assert prevalence_findings(made) == []


def test_the_p_value_is_that_of_chi_squared_adjusted_for_three_comparisons(make: Any) -> None:
    from scipy.stats import chi2_contingency

    made = labelled(make, {"train": [0, 1] * 200, "val": [0, 1] * 50, "test": [0] * 80 + [1] * 20})
    (finding,) = prevalence_findings(made)
    p = chi2_contingency([[200, 200], [20, 80]], correction=False).pvalue
    found = {instance.tokens[0]: instance.numbers["p"] for instance in finding.instances}
    assert found["train/test/ill"] == pytest.approx(3 * p)


def test_many_images_of_few_patients_prove_less(make: Any) -> None:
    labels = {"train": [0] * 100 + [1] * 100, "val": [0] * 30 + [1] * 70, "test": [0] * 50 + [1] * 50}
    assert prevalence_findings(labelled(make, labels))
    groups = [f"p{i // 25}" for i in range(400)]
    assert not prevalence_findings(labelled(make, labels, groups=groups))


def test_each_grade_is_compared_where_there_are_more_than_two(make: Any) -> None:
    made = labelled(
        make,
        {"train": [0, 1, 2] * 100, "val": [0, 1, 2] * 30, "test": [0] * 30 + [1] * 60},
        classes="abc",
        task="ordinal",
    )
    (finding,) = prevalence_findings(made)
    assert {instance.tokens[0] for instance in finding.instances} >= {"train/test/b", "train/test/c", "val/test/c"}
