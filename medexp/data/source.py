"""What every source of images gives, whatever it reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from medexp.errors import DataError
from medexp.types import Split


class Images(Protocol):
    """Images that are not read yet, by their place in `Examples`."""

    def __len__(self) -> int:
        """How many."""

    def name(self, i: int) -> str:
        """What to call image i in an error: a path."""

    def stamp(self, i: int) -> str | None:
        """A text that changes when image i may have changed, without reading it; None if it cannot be told."""

    def load(self, i: int) -> bytes | np.ndarray:
        """Return the bytes of an image file, or pixels: `uint8` or `uint16`, (height, width) or (height, width, 3).

        Raises:
            DataError: it cannot be read.
        """


@dataclass(frozen=True)
class Examples:
    """A set of labelled images, not yet read.

    Args:
        keys: unique names that stay the same wherever the data lies.
        labels: of each image an index into `class_names`, shape (n,); for a multi-label task 0 or 1 for each class,
            shape (n, classes).
        class_names: in the order of the labels.
        images: the images, in the order of `keys`.
        origin: where they come from, for people.
        ordered: whether the order of `class_names` is the data set's own, not the alphabet's.
        groups: what must not cross a split (a patient, a smear); None where each image stands alone.
        splits: where the source has a split of its own.
        metadata: other columns (site, scanner, age), by name; "" where a value is missing.
        hidden: columns that are not kept, but that may name a patient: for the audit alone.
        synthetic: whether a program drew the images.
    """

    keys: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    images: Images
    origin: str
    ordered: bool = False
    groups: tuple[str, ...] | None = None
    splits: tuple[Split, ...] | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    synthetic: bool = False


class Source(Protocol):
    """Reads one kind of data set. A new one is a class like this and a YAML in `conf/data`."""

    def prepare(self) -> None:
        """Download or generate what is missing. Called once; must be safe to call again."""

    def examples(self) -> Examples:
        """Return all images, or raise DataError."""


class Files:
    """Image files, one image each.

    Args:
        paths: of the files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(map(str, paths))

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, i: int) -> str:
        """The path."""
        return self._paths[i]

    def stamp(self, i: int) -> str | None:
        """Size, times of change, and inode, as version control systems tell a changed file."""
        try:
            facts = os.stat(self._paths[i])  # noqa: PTH116  a Path takes half as long again, for each of all images
        except OSError:
            return None
        return f"{facts.st_size}-{facts.st_mtime_ns}-{facts.st_ctime_ns}-{facts.st_ino}"

    def load(self, i: int) -> bytes:
        """Return the file's bytes (or DataError naming it)."""
        try:
            with open(self._paths[i], "rb", buffering=0) as file:  # noqa: PTH123
                return file.read()
        except OSError as error:
            raise DataError(f"The image cannot be read ({error.strerror}). Received: {self._paths[i]}.") from error
