"""A split as a CSV file: written by every run, and read where it is used again (`data.split_file`)."""

from __future__ import annotations

import csv
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medexp.errors import DataError, unknown
from medexp.types import SPLITS

logger = logging.getLogger(__name__)

COLUMNS = ("image", "split", "group", "label", "content")
_DIGITS = 16  # of the SHA-256 of an image, in the column `content`
_SHOWN = 5  # images that an error or a warning names


def write_split(
    path: Path,
    *,
    keys: Sequence[str],
    splits: np.ndarray,
    content: np.ndarray,
    groups: Sequence[str] | None,
    labels_text: Sequence[str],
    metadata: Mapping[str, Sequence[str]],
) -> None:
    """Write who is in which split: a row per image, with the columns of `COLUMNS` and then those of `metadata`.

    The file is UTF-8 CSV (RFC 4180) and is there as a whole or not at all. A metadata column that is called like one
    of ours is written as `metadata.<name>`.

    Args:
        path: of the file; its folder is made.
        keys: names of the n images.
        splits: train, val or test of each.
        content: SHA-256 of each; its first 16 digits are written.
        groups: name of each image's group; None leaves the column empty.
        labels_text: what to write as the label of each.
        metadata: other columns.
    """
    titles = [f"metadata.{name}" if name in COLUMNS else name for name in metadata]
    short = (text[:_DIGITS] for text in content.tolist())
    own = groups if groups is not None else [""] * len(keys)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.writer(file)
            rows.writerow([*COLUMNS, *titles])
            rows.writerows(zip(keys, splits.tolist(), own, labels_text, short, *metadata.values(), strict=True))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_split(path: Path, *, keys: Sequence[str], content: np.ndarray) -> np.ndarray:
    """Return the split that a file gives each image: train, val or test, (n,).

    An image is found by its content, so that files may have been renamed or moved since; by its name where its
    content stands in several splits, where the file leaves the content empty, or where the image cannot be read. Only
    the columns `image` and `split` must be there: a file written by hand needs no more.

    An image that is listed with other content is refused, not warned of: numbered names are the same in many data
    sets, and another patient's image under a known name would get a split that nobody chose for it, from train to
    test for instance, unseen. Whoever knows better (the same images at another size) empties the column `content`.

    Args:
        path: of the file.
        keys: names of the n images.
        content: SHA-256 of each; "" where it could not be read.

    Raises:
        DataError: no such CSV, an unknown split, an image that is listed twice, not at all, with other content, or
            that has a new name and whose content stands in several splits.
    """
    listed = _Listed.read(path)
    found = [listed.find(key, text[:_DIGITS]) for key, text in zip(keys, content.tolist(), strict=True)]
    lost = [(key, text) for key, text, row in zip(keys, content.tolist(), found, strict=True) if row is None]
    changed = [key for key, _ in lost if key in listed.by_key]
    unclear = [key for key, text in lost if key not in listed.by_key and text[:_DIGITS] in listed.by_content]
    absent = [key for key, text in lost if key not in listed.by_key and text[:_DIGITS] not in listed.by_content]
    if changed:
        raise DataError(
            "An image has other content than the one of its name had when the split was made: it may be another "
            f"patient's. Received: data.split_file={path} and {_some(changed)}. Split anew: data.split_file=null; or, "
            "if they are the same images (at another size, for instance), empty the column content of the file."
        )
    if unclear:
        raise DataError(
            "An image has a name that is not listed, and its content stands in several splits under other names. "
            f"Received: data.split_file={path} and {_some(unclear)}. Add a row for each of them, or split anew: "
            "data.split_file=null"
        )
    if absent:
        raise DataError(
            f"An image is not listed in the file of the split. Received: data.split_file={path} without "
            f"{_some(absent)}. Add a row for each of them, or split anew: data.split_file=null"
        )
    used = {row for row in found if row is not None}
    renamed = sum(row is not None and listed.keys[row] != key for key, row in zip(keys, found, strict=True))
    if renamed:
        logger.info("%d images have another name than in %s and were known by their content", renamed, path)
    seen = {listed.content[row] for row in used if listed.content[row]}
    extra = [key for row, key in enumerate(listed.keys) if row not in used and listed.content[row] not in seen]
    if extra:
        logger.warning("%s lists images that the data set does not have: %s", path, _some(extra))
    return np.array([listed.splits[row] for row in found if row is not None], dtype="<U5")


@dataclass(frozen=True)
class _Listed:
    """The rows of a file: their columns, and where a name and a content are."""

    keys: list[str]
    splits: list[str]
    content: list[str]
    by_key: Mapping[str, int]
    by_content: Mapping[str, Sequence[int]]

    @classmethod
    def read(cls, path: Path) -> _Listed:
        """Read the rows, or say why not."""
        keys: list[str] = []
        splits: list[str] = []
        content: list[str] = []
        by_key: dict[str, int] = {}
        by_content: dict[str, list[int]] = defaultdict(list)
        for line, row in _rows(path):
            key, split, text = row["image"], row["split"], row.get("content", "").lower()
            where = f"In data.split_file={path}, line {line}."
            if split not in SPLITS:
                raise DataError(f"{unknown('split', split, SPLITS)} {where}")
            if key in by_key:
                raise DataError(
                    f"An image is listed twice. Received: {key!r}, {splits[by_key[key]]} and {split}. {where}"
                )
            if text and (len(text) < _DIGITS or set(text) - set("0123456789abcdef")):
                raise DataError(
                    f"The column content holds the first {_DIGITS} hexadecimal digits of the SHA-256 of an image, or "
                    f"nothing. Received: {text[:80]!r}. {where}"
                )
            by_key[key] = len(keys)
            if text:
                by_content[text[:_DIGITS]].append(len(keys))
            keys.append(key)
            splits.append(split)
            content.append(text[:_DIGITS])
        return cls(keys, splits, content, by_key, by_content)

    def find(self, key: str, content: str) -> int | None:
        """Return the row of an image, or None."""
        named = self.by_key.get(key)
        same = self.by_content.get(content, ())
        if named in same or not content or (named is not None and not self.content[named]):
            return named
        if len({self.splits[row] for row in same}) == 1:
            return same[0]
        return None


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield each row with the number of its (last) line."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file, strict=True)
            titles = next(rows, [])
            if any(titles.count(name) != 1 for name in ("image", "split")) or titles.count("content") > 1:
                raise DataError(
                    "This is not the CSV of a split: one column must be image and one split. Received: "
                    f"data.split_file={path}, its first row is {', '.join(titles)[:200]!r}. Every run writes one: "
                    "split.csv in its folder."
                )
            for row in rows:
                if row and len(row) != len(titles):
                    raise DataError(
                        f"A row has {len(row)} cells, and the first row {len(titles)}. Received: "
                        f"data.split_file={path}, line {rows.line_num}."
                    )
                if row:
                    yield rows.line_num, dict(zip(titles, row, strict=True))
    except FileNotFoundError:
        raise DataError(
            f"There is no such file. Received: data.split_file={path}. Override: data.split_file=<run>/split.csv, or "
            "data.split_file=null to split anew"
        ) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"The split is not a readable CSV ({error}). Received: data.split_file={path}.") from error


def _some(keys: Sequence[str]) -> str:
    """Say how many, and the first few."""
    names = ", ".join(repr(key) for key in keys[:_SHOWN])
    return f"{len(keys)} images: {names}" + (" ..." if len(keys) > _SHOWN else "")
