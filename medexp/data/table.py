"""Tables of text, as people keep lists of images: CSV or Parquet."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from medexp.errors import DataError, unknown

SEPARATORS = ",;\t"
PARQUET = (".parquet", ".pq")
NAMELESS = re.compile(r"Unnamed: \d+|__index_level_\d+__")  # how pandas and Parquet call a column without a name


@dataclass(frozen=True)
class Table:
    """Rows of text, "" where a value is missing.

    Args:
        path: the file.
        rows: a text column for each column of the file that has a name; spaces around cells are gone.
    """

    path: Path
    rows: pd.DataFrame

    def column(self, name: str, *, key: str, empty: bool = False) -> pd.Series:
        """Return one column.

        Args:
            name: of the column.
            key: the configuration's key that chose it, for the error.
            empty: whether cells may be empty.

        Raises:
            DataError: there is no such column, or it has an empty cell and must not.
        """
        if name not in self.rows.columns:
            raise DataError(f"{key}: {unknown('column', name, self.rows.columns)} In {self.path}. Override: {key}=...")
        column = self.rows[name]
        if not empty and (column == "").any():
            gaps = column.index[column == ""]
            raise DataError(
                f"{key}: column {name!r} has empty cells, {len(gaps)} of {len(column)}. Received: {self.path}, row "
                f"{gaps[0] + 2}. Fill them, take these rows out, or choose another column: {key}=..."
            )
        return column

    def others(
        self, used: Collection[str | None], chosen: Collection[str] | None, *, key: str
    ) -> dict[str, tuple[str, ...]]:
        """Return the columns `chosen`, or all that are not in `used` where it is None, by name (DataError)."""
        names = [name for name in self.rows.columns if name not in used] if chosen is None else chosen
        return {name: tuple(self.column(name, key=key, empty=True).tolist()) for name in names}


def read_table(path: Path, *, key: str) -> Table:
    """Read a Parquet file (by its suffix), or a CSV with commas, semicolons or tabs (by its first line), in UTF-8.

    Args:
        path: of the file.
        key: the configuration's key that chose it, for the error.

    Raises:
        DataError: no such file, not readable, or two columns of one name.
    """
    parquet = path.suffix.lower() in PARQUET
    try:
        names, rows = _parquet(path) if parquet else _csv(path)
    except FileNotFoundError:
        raise DataError(f"There is no such file. Received: {key}={path}. Override: {key}=...") from None
    except (OSError, ValueError, csv.Error, pyarrow.ArrowException) as error:
        what = "Parquet" if parquet else "CSV"
        hint = " Save it as UTF-8." if isinstance(error, UnicodeError) else ""
        raise DataError(f"Not a readable {what} file ({error}). Received: {key}={path}.{hint}") from error
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise DataError(f"Two columns have one name. Received: {twice[0]!r} in {path}. Rename one of them.")
    return Table(path, rows[[name for name in rows.columns if name and not NAMELESS.fullmatch(name)]])


def _csv(path: Path) -> tuple[list[str], pd.DataFrame]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    separator = max(SEPARATORS, key=first.count)
    rows = pd.read_csv(
        path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True
    )
    if not isinstance(rows.index, pd.RangeIndex):  # pandas takes the first column of such a file for names of rows
        raise ValueError("rows have more cells than there are columns")
    rows = rows.fillna("").apply(lambda column: column.str.strip())
    rows = rows.replace({"nan": "", "NaN": ""})  # how a missing value of a number is written by those who do not look
    rows.columns = rows.columns.str.strip()
    return [name.strip() for name in next(csv.reader([first], delimiter=separator))], rows


def _parquet(path: Path) -> tuple[list[str], pd.DataFrame]:
    table = pyarrow.parquet.ParquetFile(path).read()
    if len(set(table.column_names)) < table.num_columns:
        return table.column_names, pd.DataFrame()
    columns = {name: _text(table[name]) for name in table.column_names}
    return table.column_names, pd.DataFrame(columns, dtype=str).reset_index(drop=True)


def _text(column: pyarrow.ChunkedArray) -> list[str]:
    """Each value as a CSV would have it; whole numbers stay whole though missing values made them floats."""
    compute = pyarrow.compute
    if pyarrow.types.is_floating(column.type):
        column = compute.if_else(compute.is_nan(column), None, column)
        if compute.all(compute.equal(compute.trunc(column), column)).as_py() is not False:
            column = column.cast(pyarrow.int64())
    return ["" if value is None else str(value).strip() for value in column.to_pylist()]
