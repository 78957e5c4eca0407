"""The audit's own small classifiers on sets that are too small for five folds."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from medexp.data.audit.validation import folds, learnable

SPLITS = ("train", "val", "test")


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (n, 8, 8), dtype=np.uint8)


def tiny(make: Any, labels: Any, **options: Any) -> Any:
    n = len(labels)
    site = [str(i // 2 % 2) for i in range(n)]
    return make(images(n), np.array(labels), [SPLITS[i % 3] for i in range(n)], metadata={"site": site}, **options)


def combinations(n: int) -> np.ndarray:
    """Three labels in all eight combinations."""
    return np.array([[i >> bit & 1 for bit in range(3)] for i in range(n)])


def of(make: Any, name: str) -> Any:
    one_left = np.array([0] * 8 + [1] * 8 + [2])
    return {
        "three classes of four": lambda: tiny(make, np.arange(12) % 3, classes="abc", task="multiclass"),
        "eight combinations": lambda: tiny(make, combinations(24), classes="abc", task="multilabel"),
        "a class of one image": lambda: tiny(make, one_left, classes="abc", task="multiclass"),
        "two groups": lambda: tiny(make, np.arange(12) // 2 % 2, groups=["p", "q"] * 6),
        "two groups of one class each": lambda: tiny(make, np.arange(12) % 2, groups=["p", "q"] * 6),
        "one of each": lambda: tiny(make, [0, 1, 0]),
        "one class": lambda: tiny(make, [0] * 12),
        "groups of very different sizes": lambda: tiny(
            make, np.arange(40) // 2 % 2, groups=["p"] * 30 + ["q"] * 5 + ["r", "s", "t", "u", "v"]
        ),
    }[name]()


@pytest.mark.parametrize(
    ("name", "count", "learned"),
    [
        ("three classes of four", 4, [True] * 3),
        ("eight combinations", 5, [True] * 3),
        ("a class of one image", 5, [True, True, False]),
        ("two groups", 2, [True, True]),
        ("two groups of one class each", 0, [False, False]),
        ("one of each", 0, [False, False]),
        ("one class", 0, [False, False]),
    ],
)
def test_there_are_as_many_folds_as_the_rarest_class_that_can_be_learned_has_groups(
    make: Any, name: str, count: int, learned: list[bool]
) -> None:
    made = of(make, name)
    rows = np.arange(len(made.keys))
    found = list(folds(made, rows, seed=0))
    assert len(found) == count
    assert learnable(made, rows).tolist() == learned
    if count:
        assert sorted(np.concatenate([held_out for _, held_out in found])) == rows.tolist()
        assert all(len(training) and not set(training) & set(held_out) for training, held_out in found)


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("three classes of four", True),
        ("eight combinations", True),
        ("a class of one image", True),
        ("two groups", True),
        ("two groups of one class each", False),
        ("one of each", False),
        ("one class", False),
        ("groups of very different sizes", True),
    ],
)
def test_a_tiny_set_is_audited_and_what_could_not_be_checked_is_said(
    make: Any, audited: Any, name: str, checked: bool
) -> None:
    made = of(make, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = audited(made, probe=True, canary=True)
    notes = {token for f in report.findings if f.kind == "not_checked" for i in f.instances for token in i.tokens}
    assert ("shortcut_probe" in notes) == (not checked)
    if name != "one of each":  # of three images, where the column has no value often enough to be asked
        assert ("site" in notes) == (not checked)


def test_a_class_of_one_image_does_not_hide_that_the_others_can_be_told(make: Any, audited: Any) -> None:
    labels = np.r_[np.arange(60) % 2, 2]
    framed = np.random.default_rng(0).integers(60, 190, (61, 32, 32), dtype=np.uint8)
    framed[labels == 1, :2] = 0
    splits = [SPLITS[i % 3] for i in range(61)]
    report = audited(make(framed, labels, splits, classes="abc", task="multiclass"), probe=True)
    (probe,) = [finding for finding in report.findings if finding.kind == "shortcut_probe"]
    assert probe.statistics["auc"] > 0.95
