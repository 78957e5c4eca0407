"""Images listed in a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from medexp.data.source import Examples, read_file
from medexp.errors import DataError, unknown
from medexp.types import SPLITS, Split


class ManifestSource:
    """Reads a CSV with one row per image.

    Args:
        manifest: path of the CSV. Relative paths count from the current directory.
        image_column: image paths, relative to the CSV.
        label_column: class names.
        group_column: what must not cross a split, such as a patient id; None where every image stands alone.
        split_column: `train`, `val` or `test` where the split is given.
        synthetic: whether the images were generated; said wherever results are shown.
    """

    def __init__(
        self,
        *,
        manifest: str,
        image_column: str = "image",
        label_column: str = "label",
        group_column: str | None = None,
        split_column: str | None = None,
        synthetic: bool = False,
    ) -> None:
        self._path = Path(manifest).expanduser().absolute()
        self._columns = {
            "data.image_column": image_column,
            "data.label_column": label_column,
            "data.group_column": group_column,
            "data.split_column": split_column,
        }
        self._synthetic = synthetic

    def prepare(self) -> None:
        """Nothing to do."""

    def examples(self) -> Examples:
        """Return the rows in the order of their image paths."""
        table = self._read()
        image, label, group, split = (table[column] if column else None for column in self._columns.values())
        assert image is not None
        assert label is not None
        classes = tuple(sorted(label.unique()))
        if len(classes) < 2:
            raise DataError(f"Classification needs two classes. Received: {self._path} with {list(classes)}.")
        if group is not None and split is not None:
            self._check_groups(group, split)
        paths = [self._path.parent / name for name in image]
        return Examples(
            keys=tuple(image),
            labels=np.searchsorted(classes, label.to_numpy(dtype=str)),
            class_names=classes,
            read=lambda i: read_file(paths[i]),
            origin=str(self._path),
            groups=None if group is None else tuple(group),
            splits=None if split is None else self._splits(split),
            synthetic=self._synthetic,
        )

    def _read(self) -> pd.DataFrame:
        try:
            table = pd.read_csv(self._path, dtype=str, keep_default_na=False)
        except FileNotFoundError:
            raise DataError(
                f"There is no such file. Received: data.manifest={self._path}. Override: data.manifest=..."
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"The manifest is not a readable CSV ({error}). Received: {self._path}.") from error
        for key, column in self._columns.items():
            if column is None:
                continue
            if column not in table.columns:
                raise DataError(f"{key}: {unknown('column', column, table.columns)} Override: {key}=...")
            empty = table.index[table[column] == ""]
            if len(empty):
                raise DataError(
                    f"{key}: column {column!r} has empty cells. Received: {self._path}, row {empty[0] + 2}."
                )
        names = table[self._columns["data.image_column"]]
        if names.duplicated().any():
            raise DataError(f"An image is listed twice. Received: {names[names.duplicated()].iloc[0]} in {self._path}.")
        return table.sort_values(str(self._columns["data.image_column"]), ignore_index=True)

    def _check_groups(self, group: pd.Series, split: pd.Series) -> None:
        splits = split.groupby(group).unique()
        crossing = splits[splits.map(len) > 1]
        if len(crossing):
            first, places = crossing.index[0], " and ".join(crossing.iloc[0])
            raise DataError(
                f"A group must not be in two splits: the test would know it. Received: {len(crossing)} of "
                f"{len(splits)} groups in {self._path}, the first is {first} in {places}. "
                "Correct the column, or let medexp split: data.split_column=null"
            )

    def _splits(self, column: pd.Series) -> tuple[Split, ...]:
        wrong = set(column) - set(SPLITS)
        if wrong:
            raise DataError(f"data.split_column: {unknown('split', sorted(wrong)[0], SPLITS)} In {self._path}.")
        return tuple(cast(Split, value) for value in column)
