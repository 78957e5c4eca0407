"""Find files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from medexp.errors import DataError


def find_files(root: Path) -> list[str]:
    """Return the paths of all files below `root`, relative to it, with `/`, sorted.

    Links are followed, but not around in a circle; one that leads nowhere counts as a file, so that reading it says
    so. Left out is what begins with a dot (hidden files, and the `._` files of macOS), and `__MACOSX`.

    Raises:
        DataError: a folder cannot be read, or a name is not UTF-8.
    """
    try:
        return sorted(_below(root, "", frozenset()))
    except OSError as error:
        raise DataError(f"A folder cannot be read ({error.strerror}). Received: {error.filename}.") from error


def _below(folder: Path | str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    facts = os.stat(folder)  # noqa: PTH116  `folder` is what scandir gave
    here = (facts.st_dev, facts.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir():
                yield from _below(entry.path, f"{prefix}{entry.name}/", above | {here})
            elif entry.is_file() or entry.is_symlink():
                _check_name(entry)
                yield prefix + entry.name


def _check_name(entry: os.DirEntry[str]) -> None:
    try:
        entry.path.encode()
    except UnicodeEncodeError:
        raise DataError(f"A file's name is not UTF-8. Received: {os.fsencode(entry.path)!r}. Rename it.") from None
