from __future__ import annotations

import numpy as np
import pytest

from medexp.data.labels import Labels, resolve_labels
from medexp.data.source import Examples, Files
from medexp.errors import DataError
from medexp.types import Task


def examples(names: tuple[str, ...], labels: list[object], *, ordered: bool = False) -> Examples:
    return Examples(
        keys=tuple(map(str, range(len(labels)))),
        labels=np.array(labels),
        class_names=names,
        images=Files([]),
        origin="",
        ordered=ordered,
    )


def resolved(
    data: Examples, *, task: Task | None = None, classes: list[str] | None = None, positive: str | None = None
) -> Labels:
    return resolve_labels(data, task=task, classes=classes, positive=positive)


TWO, THREE = examples(("a", "b"), [0, 1, 1]), examples(("a", "b", "c"), [0, 1, 2])
SEVERAL = examples(("a", "b", "c"), [[1, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("data", "task", "options"),
    [
        (TWO, "binary", {"positive": "b"}),
        (THREE, "multiclass", {}),
        (SEVERAL, "multilabel", {}),
        (THREE, "ordinal", {"task": "ordinal", "classes": ["a", "b", "c"]}),
    ],
)
def test_the_task_is_what_the_labels_are_unless_it_is_said(data: Examples, task: Task, options: dict[str, str]) -> None:
    assert resolved(data, **options).task == task


@pytest.mark.parametrize(("positive", "values"), [("a", [1, 0, 0]), ("b", [0, 1, 1])])
def test_the_positive_class_is_the_second_whatever_the_alphabet_says(positive: str, values: list[int]) -> None:
    labels = resolved(TWO, positive=positive)
    assert labels.class_names[1] == positive
    assert labels.values.tolist() == values


def test_two_classes_without_a_positive_one_are_refused() -> None:
    with pytest.raises(DataError, match=r"data\.positive=a or data\.positive=b"):
        resolved(TWO)


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_two_classes_are_a_binary_task(task: Task) -> None:
    with pytest.raises(DataError, match=r"data\.task=null"):
        resolved(TWO, task=task, positive="b")


def test_three_classes_are_no_binary_task() -> None:
    with pytest.raises(DataError, match="binary with 3 classes"):
        resolved(THREE, task="binary", positive="a")


@pytest.mark.parametrize("data", [THREE, SEVERAL])
def test_other_tasks_have_no_positive_class(data: Examples) -> None:
    with pytest.raises(DataError, match=r"data\.positive=null"):
        resolved(data, positive="a")


def test_several_labels_at_once_are_multilabel_only() -> None:
    with pytest.raises(DataError, match=r"data\.task=multilabel"):
        resolved(SEVERAL, task="multiclass")


def test_single_labels_may_be_treated_as_multilabel() -> None:
    labels = resolved(THREE, task="multilabel")
    assert labels.values.tolist() == np.eye(3).tolist()


def test_grades_need_an_order() -> None:
    with pytest.raises(DataError, match=r"data\.classes=\[a,b,c\]"):
        resolved(THREE, task="ordinal")


def test_grades_in_the_order_that_is_given() -> None:
    labels = resolved(THREE, task="ordinal", classes=["b", "c", "a"])
    assert labels.class_names == ("b", "c", "a")
    assert labels.values.tolist() == [2, 0, 1]


def test_grades_that_are_numbers_go_up() -> None:
    labels = resolved(examples(("10", "2", "9"), [0, 1, 2]), task="ordinal")
    assert labels.class_names == ("2", "9", "10")
    assert labels.values.tolist() == [2, 0, 1]


def test_grades_in_the_data_sets_own_order() -> None:
    data = examples(("none", "mild", "bad"), [0, 1, 2], ordered=True)
    assert resolved(data, task="ordinal").class_names == ("none", "mild", "bad")


def test_classes_reorder_the_columns_of_several_labels() -> None:
    assert resolved(SEVERAL, classes=["c", "a", "b"]).values.tolist() == [[1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b"], r"Received: c in the data.*data\.classes=\[a,b,c\]"),
        (["a", "b", "c", "d"], "Unknown class.*'d'.*No image has it"),
        (["a", "b", "c", "c"], "twice"),
    ],
)
def test_classes_name_each_class_once(classes: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        resolved(THREE, classes=classes)


@pytest.mark.parametrize(
    ("labels", "targets"),
    [
        (Labels("binary", ("a", "b"), np.array([0, 1])), [[0], [1]]),
        (Labels("multiclass", ("a", "b", "c"), np.array([2, 0])), [[0, 0, 1], [1, 0, 0]]),
        (Labels("multilabel", ("a", "b"), np.array([[1, 1], [0, 0]])), [[1, 1], [0, 0]]),
        (Labels("ordinal", ("0", "1", "2"), np.array([0, 1, 2])), [[0, 0], [1, 0], [1, 1]]),
    ],
    ids=lambda value: value.task if isinstance(value, Labels) else "",
)
def test_targets_are_what_the_task_is_trained_on(labels: Labels, targets: list[list[float]]) -> None:
    assert labels.targets().dtype == np.float32
    assert labels.targets().tolist() == targets


def test_labels_as_text_and_as_a_matrix() -> None:
    several = Labels("multilabel", ("a", "b", "c"), np.array([[1, 0, 1], [0, 0, 0]]))
    assert several.texts().tolist() == ["a|c", ""]
    assert several.matrix().tolist() == [[True, False, True], [False, False, False]]
    single = Labels("multiclass", ("a", "b", "c"), np.array([2, 0]))
    assert single.texts().tolist() == ["c", "a"]
    assert single.matrix().tolist() == [[False, False, True], [True, False, False]]
