"""What people call the three splits."""

from __future__ import annotations

from typing import cast

from medexp.data.table import Table
from medexp.errors import DataError, unknown
from medexp.types import Split

SPELLINGS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_called(name: str) -> Split | None:
    """Return the split that `name` is a usual spelling of, in any case; None where it is none."""
    return SPELLINGS.get(name.strip().lower())


def read_splits(table: Table, column: str) -> tuple[Split, ...]:
    """Return the split of each row.

    Raises:
        DataError: no such column, an empty cell, a value that is no split, or no row to train on.
    """
    cells = table.column(column, key="data.split_column")
    spelled = {cell: split_called(cell) for cell in cells.unique()}
    wrong = [cell for cell, split in spelled.items() if split is None]
    if wrong:
        raise DataError(
            f"data.split_column: {unknown('split', wrong[0], SPELLINGS)} In column {column!r} of {table.path}. "
            "Override: data.split_column=null to have medexp split"
        )
    if "train" not in spelled.values():
        raise DataError(
            f"There is nothing to train on: no row is in the training split. Received: {sorted(spelled)} in column "
            f"{column!r} of {table.path}. Override: data.split_column=null to have medexp split"
        )
    return tuple(cast(list[Split], cells.map(spelled).tolist()))
