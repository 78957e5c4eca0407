"""Images listed in a table."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medexp.data.label_columns import LabelColumns
from medexp.data.source import Examples, Files
from medexp.data.split_names import read_splits
from medexp.data.table import Table, read_table
from medexp.errors import DataError

logger = logging.getLogger(__name__)


class ManifestSource:
    """Reads a CSV or Parquet file with one row per image.

    Args:
        manifest: path of the file: `.parquet` or `.pq`, else CSV with commas, semicolons or tabs. Relative paths
            count from the current directory.
        image_column: image paths, relative to the manifest, or absolute.
        label_column: class names. Names that are all numbers are ordered by value, others by the alphabet.
        label_columns: instead, a column of 0 or 1 for each class: an image may have several (multi-label).
        label_separator: instead, several classes in one cell of `label_column`, such as `edema|effusion`.
        no_finding: the word in such a cell that means none of the classes; an empty cell does, too.
        group_column: what must not cross a split, such as a patient id; None where every image stands alone.
        split_column: where the split is given: train, val, test or their usual spellings, in any case.
        metadata_columns: kept beside the images (site, scanner, age); None keeps every column with no other use.
        synthetic: whether the images were generated; said wherever results are shown.

    Raises:
        DataError: the choices of labels contradict each other.
    """

    def __init__(
        self,
        *,
        manifest: str,
        image_column: str = "image",
        label_column: str | None = "label",
        label_columns: Sequence[str] | None = None,
        label_separator: str | None = None,
        no_finding: str | None = None,
        group_column: str | None = None,
        split_column: str | None = None,
        metadata_columns: Sequence[str] | None = None,
        synthetic: bool = False,
    ) -> None:
        self._path = Path(manifest).expanduser().absolute()
        self._labels = LabelColumns(
            column=label_column,
            columns=None if label_columns is None else tuple(label_columns),
            separator=label_separator,
            no_finding=no_finding,
        )
        self._image, self._group, self._split = image_column, group_column, split_column
        self._metadata = metadata_columns
        self._synthetic = synthetic

    def prepare(self) -> None:
        """Nothing to do."""

    def examples(self) -> Examples:
        """Return the rows in the order of their image paths."""
        table = read_table(self._path, key="data.manifest")
        keys = self._keys(table)
        table = Table(table.path, table.rows.loc[keys.index])
        labels = self._labels.read(table)
        group = None if self._group is None else table.column(self._group, key="data.group_column")
        used = {self._image, *self._labels.used, self._group, self._split}
        metadata = table.others(used, self._metadata, key="data.metadata_columns")
        if self._split is None:
            self._say_unused_split(table)
        return Examples(
            keys=tuple(keys),
            labels=labels.values,
            class_names=labels.class_names,
            images=Files([self._path.parent / key for key in keys]),
            origin=str(self._path),
            ordered=labels.ordered,
            groups=None if group is None else tuple(group.tolist()),
            splits=None if self._split is None else read_splits(table, self._split),
            metadata=metadata,
            hidden=table.others({*used, *metadata}, None, key="data.metadata_columns"),
            synthetic=self._synthetic,
        )

    def _say_unused_split(self, table: Table) -> None:
        for name in table.rows.columns:
            if name.casefold() == "split":
                logger.warning("the split of column %r is not used; to use it: data.split_column=%s", name, name)

    def _keys(self, table: Table) -> pd.Series:
        """The paths, sorted, in one spelling; the index says which row."""
        paths = table.column(self._image, key="data.image_column")
        keys = paths.str.replace("\\", "/", regex=False).map(posixpath.normpath).sort_values(kind="stable")
        twice = keys.duplicated(keep=False)
        if twice.any():
            first = keys[twice].iloc[0]
            rows = (keys.index[keys == first] + 2).tolist()
            raise DataError(
                f"An image is listed twice. Received: {first} in {self._path}, rows {rows[0]} and {rows[1]}"
                f"{f' ({keys.duplicated().sum()} such rows in all)' if len(keys[twice]) > 2 else ''}. Keep one of them."
            )
        return keys
