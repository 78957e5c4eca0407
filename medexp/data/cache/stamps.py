"""Remember what was in a file, so that an unchanged one need not be read to know it."""

from __future__ import annotations

import os
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from medexp.data.source import Images


class Stamps:
    """The content (SHA-256) of each image of one origin, by its name and stamp (size, times, inode).

    Args:
        path: of the `.npz` file; one that is missing or damaged knows nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, str], str] = {}
        self._folders: list[str] = []
        try:
            with np.load(path, allow_pickle=False) as file:
                names, stamps, content = file["names"].tolist(), file["stamps"].tolist(), file["content"].tolist()
                self._folders = file["folders"].tolist()
            self._known = dict(zip(zip(names, stamps, strict=True), content, strict=True))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass

    def contents(self, images: Images, stamps: list[str]) -> list[str]:
        """Return the content of each image that has this stamp, "" where that is not known."""
        known = self._known
        return [known.get((images.name(i), stamp), "") if stamp else "" for i, stamp in enumerate(stamps)]

    def replace_folder(self, name: str, preprocessing: str) -> list[str]:
        """Note that the folder `name` holds the images prepared so; return the names of those it replaces."""
        old = [other for other in self._folders if other.endswith(preprocessing) and other != name]
        self._folders = [other for other in self._folders if other not in old and other != name] + [name]
        return old

    @property
    def folders(self) -> frozenset[str]:
        """The names of the folders that hold images of this origin."""
        return frozenset(self._folders)

    def write(self, images: Images, stamps: list[str], content: list[str]) -> None:
        """Replace the file in one step: images without a stamp are left out, and "" is a content that is not known."""
        rows = [i for i, stamp in enumerate(stamps) if stamp]
        columns: dict[str, Any] = {
            "names": np.array([images.name(i) for i in rows], dtype=str),
            "stamps": np.array([stamps[i] for i in rows], dtype=str),
            "content": np.array([content[i] for i in rows], dtype=str),
            "folders": np.array(self._folders, dtype=str),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{uuid.uuid4().hex}.npz")
        try:
            with part.open("wb") as file:
                np.savez(file, **columns)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
