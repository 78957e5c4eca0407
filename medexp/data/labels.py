"""From a source's labels to a task: which classes, in which order, and which one is positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medexp.data.source import Examples
from medexp.errors import DataError, unknown
from medexp.types import Task


@dataclass(frozen=True)
class Labels:
    """Labels as the task wants them.

    Args:
        task: what kind of labels.
        class_names: binary: (negative, positive); ordinal: from the lowest grade to the highest.
        values: class indices (n,); multi-label: 0 or 1 per class (n, classes).
    """

    task: Task
    class_names: tuple[str, ...]
    values: np.ndarray

    def targets(self) -> np.ndarray:
        """What a network is trained on, `float32`, one column per output.

        Binary: 1 for the positive class; multi-class: one-hot; multi-label: the labels; ordinal with K grades: K - 1
        columns, 1 where the grade is above the column's (Frank & Hall, ECML 2001).
        """
        if self.task == "binary":
            return self.values[:, np.newaxis].astype(np.float32)
        if self.task == "multiclass":
            return np.asarray(np.eye(len(self.class_names), dtype=np.float32)[self.values])
        if self.task == "ordinal":
            grades = np.arange(len(self.class_names) - 1)
            return np.asarray(self.values[:, np.newaxis] > grades, dtype=np.float32)
        return self.values.astype(np.float32)

    def matrix(self) -> np.ndarray:
        """1 where an image has a class, else 0: `bool`, shape (n, classes)."""
        if self.values.ndim == 2:
            return self.values.astype(bool)
        return np.asarray(self.values[:, np.newaxis] == np.arange(len(self.class_names)))

    def texts(self) -> np.ndarray:
        """The classes of each image as text, (n,); those of a multi-label task joined by `|`."""
        names = np.array(self.class_names)
        if self.values.ndim == 1:
            return np.asarray(names[self.values])
        return np.array(["|".join(names[row.astype(bool)]) for row in self.values], dtype=str)


def resolve_labels(
    examples: Examples, *, task: Task | None, classes: Sequence[str] | None, positive: str | None
) -> Labels:
    """Apply `data.task`, `data.classes` and `data.positive` to what a source gives.

    Raises:
        DataError: they contradict the labels, or two classes without a positive one, or grades without an order.
    """
    names, values = examples.class_names, examples.labels
    if classes is not None:
        names, values = _in_order(names, values, tuple(classes))
    kind: Task = task or ("multilabel" if values.ndim == 2 else "binary" if len(names) == 2 else "multiclass")
    if values.ndim == 2 and kind != "multilabel":
        raise DataError(
            f"Images have several labels at once. Received: data.task={task}. Override: data.task=multilabel"
        )
    if kind == "multilabel":
        _no_positive(positive, names)
        return Labels(kind, names, values if values.ndim == 2 else np.eye(len(names), dtype=np.uint8)[values])
    if (kind == "binary") != (len(names) == 2):
        raise DataError(
            f"A binary task has two classes, others have more. Received: data.task={kind} with {len(names)} classes "
            f"({', '.join(names)}). Override: data.task=null"
        )
    if kind == "binary":
        return _binary(names, values, positive)
    _no_positive(positive, names)
    if kind == "ordinal" and classes is None and not examples.ordered:
        if not all(_is_number(name) for name in names):
            raise DataError(
                "Grades need an order, and the alphabet's is none. Received: data.task=ordinal with "
                f"{', '.join(names)}. Name them from the lowest to the highest: data.classes=[{','.join(names)}]"
            )
        names, values = _in_order(names, values, tuple(sorted(names, key=float)))
    return Labels(kind, names, values)


def _in_order(
    names: tuple[str, ...], values: np.ndarray, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    strange = [name for name in names if name not in wanted]
    if strange:
        raise DataError(
            f"data.classes does not name all labels. Received: {', '.join(strange)} in the data, "
            f"data.classes=[{','.join(wanted)}]. Override: data.classes=[{','.join([*wanted, *strange])}]"
        )
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(f"data.classes: {unknown('class', absent[0], names)} No image has it.")
    if len(set(wanted)) < len(wanted):
        raise DataError(f"data.classes names a class twice. Received: data.classes=[{','.join(wanted)}].")
    if values.ndim == 2:
        return wanted, values[:, [names.index(name) for name in wanted]]
    place = np.array([wanted.index(name) for name in names])
    return wanted, place[values]


def _binary(names: tuple[str, ...], values: np.ndarray, positive: str | None) -> Labels:
    if positive is None:
        raise DataError(
            "Say which of the two classes is the finding: scores and sensitivity are about it. "
            f"Received: data.positive=null. Override: data.positive={names[0]} or data.positive={names[1]}"
        )
    if positive not in names:
        raise DataError(f"data.positive: {unknown('class', positive, names)}")
    if positive == names[1]:
        return Labels("binary", names, values)
    return Labels("binary", (names[1], names[0]), 1 - values)


def _no_positive(positive: str | None, names: tuple[str, ...]) -> None:
    if positive is not None:
        raise DataError(
            f"Only a task of two classes has a positive one. Received: data.positive={positive} with "
            f"{len(names)} classes. Override: data.positive=null"
        )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
