"""DICOM files below a folder, labelled by a table."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pydicom.datadict import dictionary_VR

from medexp.data.dicom_headers import Header, check_keyword, read_headers
from medexp.data.label_columns import LabelColumns
from medexp.data.source import Examples, Files
from medexp.data.split_names import read_splits
from medexp.data.table import Table, read_table
from medexp.data.walk import find_files
from medexp.errors import DataError

logger = logging.getLogger(__name__)
IDENTITIES = ("PatientID", "StudyInstanceUID")  # the audit sees them whatever the results keep


class DicomSource:
    """Reads `<root>/**`: every file that begins as DICOM does or is called `.dcm`, and has pixels.

    Only headers are read here. A row of the table labels every file whose tag `key` has that value: one with
    `SOPInstanceUID`, all of a patient with `PatientID`. Images are named by their SOPInstanceUID, and sorted by it.

    Args:
        root: the folder. Relative paths count from the current directory.
        labels: CSV or Parquet.
        key: keyword of the tag that table and files share.
        key_column: the column that has it; None for one called like the tag.
        label_column: class names, as in `ManifestSource`; so too the next three.
        label_columns: instead, a column of 0 or 1 for each class (multi-label).
        label_separator: instead, several classes in one cell.
        no_finding: the word in such a cell that means none of the classes.
        group: keyword of the tag that must not cross a split; None where every image stands alone.
        split_column: where the table gives the split.
        metadata: keywords of tags kept beside the images; an age is kept in years.
        metadata_columns: columns of the table kept, too; None keeps every one with no other use. Where a column is
            called like a tag, the column is kept.
        unmatched: `refuse` or `skip` files without a row, rows without a file, and files that are not readable DICOM.

    Raises:
        DataError: a keyword is no tag's, or would keep a person's name; the choices of labels contradict each other.
    """

    def __init__(
        self,
        *,
        root: str,
        labels: str,
        key: str = "SOPInstanceUID",
        key_column: str | None = None,
        label_column: str | None = "label",
        label_columns: Sequence[str] | None = None,
        label_separator: str | None = None,
        no_finding: str | None = None,
        group: str | None = "PatientID",
        split_column: str | None = None,
        metadata: Sequence[str] = (),
        metadata_columns: Sequence[str] | None = None,
        unmatched: Literal["refuse", "skip"] = "refuse",
    ) -> None:
        self._root = Path(root).expanduser().absolute()
        self._table = Path(labels).expanduser().absolute()
        self._labels = LabelColumns(
            column=label_column,
            columns=None if label_columns is None else tuple(label_columns),
            separator=label_separator,
            no_finding=no_finding,
        )
        check_keyword(key, key="data.key", person=True)
        if group is not None:
            check_keyword(group, key="data.group")
        for keyword in metadata:
            check_keyword(keyword, key="data.metadata")
        self._key, self._column = key, key_column or key
        self._group, self._split = group, split_column
        self._metadata, self._columns = tuple(metadata), metadata_columns
        self._skip = unmatched == "skip"

    def prepare(self) -> None:
        """Nothing to do."""

    def examples(self) -> Examples:
        """Return all images that have a label, in the order of their SOPInstanceUID."""
        table = read_table(self._table, key="data.labels")
        rows = self._rows(table)
        headers = self._match(self._headers(), rows)
        chosen = Table(table.path, table.rows.loc[rows.loc[[header.values[self._key] for header in headers]]])
        labels = self._labels.read(chosen)
        used = {self._column, *self._labels.used, self._split}
        tags = {keyword: tuple(header.values[keyword] for header in headers) for keyword in self._metadata}
        metadata = tags | chosen.others(used, self._columns, key="data.metadata_columns")
        hidden = {
            keyword: tuple(header.values[keyword] for header in headers)
            for keyword in IDENTITIES
            if keyword not in metadata and keyword != self._group
        }
        return Examples(
            keys=tuple(header.uid for header in headers),
            labels=labels.values,
            class_names=labels.class_names,
            images=Files([self._root / header.path for header in headers]),
            origin=str(self._root),
            ordered=labels.ordered,
            groups=None if self._group is None else self._groups(headers, self._group),
            splits=None if self._split is None else read_splits(chosen, self._split),
            metadata=metadata,
            hidden=hidden | chosen.others({*used, *metadata}, None, key="data.metadata_columns"),
        )

    def _rows(self, table: Table) -> pd.Series:
        """The row of each value of the key."""
        keys = table.column(self._column, key="data.key_column")
        twice = keys[keys.duplicated(keep=False)]
        if len(twice):
            raise DataError(
                f"A table has one row for each {self._key}. Received: {table.path}, {_few(twice.index + 2, 'row')} "
                f"with a value in column {self._column!r} that another row has, too. Keep one of each."
            )
        return pd.Series(keys.index, index=keys.to_numpy(dtype=object))

    def _headers(self) -> list[Header]:
        """Of all images, sorted."""
        if not self._root.is_dir():
            raise DataError(f"There is no such folder. Received: data.root={self._root}. Override: data.root=...")
        keywords = dict.fromkeys(filter(None, (self._key, self._group, *self._metadata, *IDENTITIES)))
        found = read_headers(self._root, find_files(self._root), tuple(keywords))
        damaged = [f"{header.path} ({header.error})" for header in found if header.error]
        self._refuse(damaged, "file", "is not readable DICOM", of=len(found), where=self._root)
        images = sorted((header for header in found if header.image), key=lambda header: header.uid)
        if not images:
            raise DataError(f"No DICOM image is there. Received: data.root={self._root}. Override: data.root=...")
        if len(images) + len(damaged) < len(found):
            logger.info("%d DICOM files have no pixels and are left out", len(found) - len(images) - len(damaged))
        nameless = [header.path for header in images if not header.uid]
        if nameless:
            raise DataError(f"A DICOM image has a SOPInstanceUID. Received: none in {_few(nameless, 'file')}.")
        for one, other in itertools.pairwise(images):
            if one.uid == other.uid:
                raise DataError(
                    f"Two files have one SOPInstanceUID: they are one image. Received: {one.path} and {other.path} in "
                    f"{self._root}. Keep one of them."
                )
        return images

    def _match(self, headers: list[Header], rows: pd.Series) -> list[Header]:
        """Those that have a row."""
        known, present = set(rows.index), {header.values[self._key] for header in headers}
        if not known & present:
            personal = dictionary_VR(self._key) == "PN"
            example = "" if personal else f", such as {rows.index[0]!r} and {headers[0].values[self._key]!r}"
            raise DataError(
                f"No row of the table has the {self._key} of a file. Received: {len(rows)} rows in {self._table}, "
                f"column {self._column!r}, and {len(headers)} files in {self._root}{example}. Override: data.key=... "
                "data.key_column=..."
            )
        without_row = [header.path for header in headers if header.values[self._key] not in known]
        self._refuse(without_row, "file", f"has no row with its {self._key}", of=len(headers), where=self._root)
        without_file = (rows[~rows.index.isin(list(present))] + 2).tolist()
        self._refuse(without_file, "row", f"has no file with its {self._key}", of=len(rows), where=self._table)
        return [header for header in headers if header.values[self._key] in known]

    def _refuse(self, found: Sequence[object], what: str, fault: str, *, of: int, where: Path) -> None:
        if found and self._skip:
            logger.warning("left out, of %d %ss in %s: %s, which %s", of, what, where, _few(found, what), fault)
        elif found:
            raise DataError(
                f"A {what} {fault}. Received: {_few(found, what)} of {of} in {where}. Override: data.unmatched=skip "
                "to leave them out"
            )

    def _groups(self, headers: Sequence[Header], keyword: str) -> tuple[str, ...]:
        empty = [header.path for header in headers if not header.values[keyword]]
        if empty:
            raise DataError(
                f"data.group: a file has no {keyword}. Received: {_few(empty, 'file')} of {len(headers)} in "
                f"{self._root}. Override: data.group=... (null: every image stands alone)"
            )
        return tuple(header.values[keyword] for header in headers)


def _few(items: Iterable[object], what: str) -> str:
    """How many, and the first three."""
    every = [str(item) for item in items]
    rest = f" and {len(every) - 3} more" if len(every) > 3 else ""
    return f"{len(every)} {what}{'s' if len(every) != 1 else ''} ({', '.join(every[:3])}{rest})"
