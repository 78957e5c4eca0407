"""What every source of images gives, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from medexp.errors import DataError
from medexp.imaging.decode import decode
from medexp.types import Split


@dataclass(frozen=True)
class Examples:
    """A set of labelled images, not yet decoded.

    `keys` are unique and stay the same wherever the data lies; `labels` index `class_names`; `groups` (a
    patient, a smear) never cross a split; `splits` is given where the source has a split of its own.
    `read(i)` returns the pixels of image i, `uint8`, (height, width) or (height, width, 3), at its own size.
    """

    keys: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    origin: str
    groups: tuple[str, ...] | None = None
    splits: tuple[Split, ...] | None = None
    synthetic: bool = False


class Source(Protocol):
    """Reads one kind of data set. A new one is a class like this and a YAML in `conf/data`."""

    def prepare(self) -> None:
        """Download or generate what is missing. Called once; must be safe to call again."""

    def examples(self) -> Examples:
        """Return all images, or raise DataError."""


def read_file(path: Path) -> np.ndarray:
    """Return the pixels of the image file `path` (or DataError naming it)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"The image cannot be read ({error.strerror}). Received: {path}.") from error
    return decode(data, name=str(path))
