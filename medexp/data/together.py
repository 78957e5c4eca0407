"""Images that a split must keep together although no group says so: what an audit found to be nearly the same."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from medexp.errors import DataError

COLUMNS = ("set", "content", "image")
TOKEN = 16  # hexadecimal digits of a SHA-256


def write_together(path: Path, sets: Iterable[Sequence[tuple[str, str]]]) -> None:
    """Write a CSV with a row for each image of each set: the set's number, content (first 16 digits), name."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, images in enumerate(sets, 1):
            table.writerows([number, content[:TOKEN], key] for content, key in images)


def read_together(path: Path, content: np.ndarray) -> np.ndarray:
    """Return the name of the set of each image, text (n,); "" for an image that is in none.

    Args:
        path: of the CSV. Rows of images that are not there have no effect. An image may stand in one set only.
        content: SHA-256 of each image, text (n,).

    Raises:
        DataError: the file cannot be read, is another kind of CSV, or has an image in two sets.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"set", "content"} <= set(rows.fieldnames or ()):
                raise ValueError(f"its columns are {', '.join(rows.fieldnames or ()) or 'none'}")
            pairs = [(row["content"][:TOKEN], row["set"]) for row in rows]
    except (OSError, ValueError, csv.Error, TypeError) as error:
        raise DataError(
            f"This is not the together.csv of an audit ({error}). Received: data.split.together={path}. Override: "
            "data.split.together=null"
        ) from error
    known: dict[str, str] = {}
    for token, name in pairs:
        if known.setdefault(token, name) != name:
            raise DataError(f"An image stands in two sets. Received: {token} in {known[token]} and {name} of {path}.")
    return np.array([known.get(str(one)[:TOKEN], "") for one in content], dtype=str)
