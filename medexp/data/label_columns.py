"""Labels as tables hold them: a class per row, several in one cell, or a column for each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medexp.data.table import Table
from medexp.errors import DataError

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
FLAGS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}


@dataclass(frozen=True)
class IndexedLabels:
    """Labels of n images, as indices.

    Args:
        class_names: in the order of the values.
        values: class indices, shape (n,); multi-label: 0 or 1 for each class, shape (n, classes).
        ordered: whether somebody chose the order of the classes.
    """

    class_names: tuple[str, ...]
    values: np.ndarray
    ordered: bool


@dataclass(frozen=True, kw_only=True)
class LabelColumns:
    """Where a table has its labels.

    Args:
        column: a class in each cell; None where `columns` are given.
        columns: 0 or 1 in each cell, a column for each class: multi-label.
        separator: between the classes of one cell of `column`: multi-label.
        no_finding: the word in a cell of `column` that means none of the classes; an empty cell does, too.

    Raises:
        DataError: they contradict each other, or one would have no effect.
    """

    column: str | None
    columns: tuple[str, ...] | None
    separator: str | None
    no_finding: str | None

    def __post_init__(self) -> None:
        if self.columns is None and self.column is None:
            raise DataError("There are no labels. Received: data.label_column=null. Override: data.label_column=...")
        if self.columns is not None and self.column not in (None, "label"):
            raise DataError(
                "Labels are in one column or in many. Received: data.label_column="
                f"{self.column}, data.label_columns={list(self.columns)}. Override: data.label_columns=null"
            )
        if self.columns is not None and len(set(self.columns)) < 2:
            raise DataError(
                f"Several labels need two columns. Received: data.label_columns={list(self.columns)}. Override: "
                "data.label_columns=null data.label_column=... for one class per image"
            )
        if self.columns is not None and self.separator is not None:
            raise DataError(
                f"A cell of 0 or 1 has nothing to separate. Received: data.label_separator={self.separator!r} with "
                "data.label_columns. Override: data.label_separator=null"
            )
        if self.separator == "":
            raise DataError("A separator has a character. Received: data.label_separator=''. Override: '|'")
        if self.no_finding is not None and self.separator is None:
            raise DataError(
                "Only where an image may have several labels is there a word for none. Received: data.no_finding="
                f"{self.no_finding!r}. Override: data.no_finding=null or data.label_separator='|'"
            )

    @property
    def used(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*(self.columns or ()), *((self.column,) if self.column else ()))

    def read(self, table: Table) -> IndexedLabels:
        """Return the labels of `table` (DataError: a column is missing, a cell is wrong, fewer than two classes)."""
        if self.columns is not None:
            labels = IndexedLabels(self.columns, self._flags(table, self.columns), ordered=True)
        elif self.separator is not None:
            labels = self._separated(table)
        else:
            cells = table.column(str(self.column), key="data.label_column")
            labels = index_classes(cells.tolist())
        if len(labels.class_names) < 2:
            raise DataError(
                f"Classification needs two classes. Received: {table.path} with {list(labels.class_names)} in column "
                f"{self.column!r}. Override: data.label_column=..."
            )
        return labels

    def _flags(self, table: Table, columns: tuple[str, ...]) -> np.ndarray:
        values = np.empty((len(table.rows), len(columns)), dtype=np.int64)
        for i, name in enumerate(columns):
            cells = table.column(name, key="data.label_columns").str.lower()
            wrong = cells[~cells.isin(list(FLAGS))]
            if len(wrong):
                raise DataError(
                    f"data.label_columns: a cell is 0 or 1. Received: {wrong.iloc[0]!r} in column {name!r} of "
                    f"{table.path}, row {wrong.index[0] + 2}. For names of classes: data.label_columns=null "
                    f"data.label_column={name}"
                )
            values[:, i] = cells.map(FLAGS)
        return values

    def _separated(self, table: Table) -> IndexedLabels:
        cells = table.column(str(self.column), key="data.label_column", empty=True)
        found = [frozenset(filter(None, map(str.strip, cell.split(self.separator)))) for cell in cells]
        none = frozenset([self.no_finding]) if self.no_finding else frozenset()
        for row, names in enumerate(found):
            if none < names and none:
                raise DataError(
                    f"A cell says {self.no_finding!r} and names a finding. Received: {cells.iloc[row]!r} in column "
                    f"{self.column!r} of {table.path}, row {cells.index[row] + 2}. Correct it."
                )
        classes = class_order({name for names in found for name in names - none})
        place = {name: i for i, name in enumerate(classes)}
        values = np.zeros((len(found), len(classes)), dtype=np.int64)
        for row, names in enumerate(found):
            values[row, [place[name] for name in names - none]] = 1
        return IndexedLabels(classes, values, ordered=False)


def index_classes(names: Iterable[str]) -> IndexedLabels:
    """Return the labels of images of one class each, whose names are given."""
    each = list(names)
    classes = class_order(set(each))
    place = {name: i for i, name in enumerate(classes)}
    return IndexedLabels(classes, np.array([place[name] for name in each], dtype=np.int64), ordered=False)


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes by the alphabet, or by value where all of them are numbers (2 before 10)."""
    ordered = sorted(names)
    if all(NUMBER.fullmatch(name) for name in ordered):
        ordered.sort(key=float)
    return tuple(ordered)
