"""Images in a folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medexp.data.source import Examples, read_file
from medexp.errors import DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}


class FolderSource:
    """Reads `<root>/<class>/**/*.png` (and JPEG, TIFF, BMP, WebP); the folder's name is the class.

    Args:
        root: the folder that holds the class folders. Relative paths count from the current directory.
    """

    def __init__(self, *, root: str) -> None:
        self._root = Path(root).expanduser().absolute()

    def prepare(self) -> None:
        """Nothing to do."""

    def examples(self) -> Examples:
        """Return all images below the class folders, in the order of their relative paths."""
        if not self._root.is_dir():
            raise DataError(f"There is no such folder. Received: data.root={self._root}. Override: data.root=...")
        files = [p for p in self._root.glob("*/**/*") if p.suffix.lower() in SUFFIXES and p.is_file()]
        paths = sorted(files, key=lambda path: path.relative_to(self._root).as_posix())
        classes = tuple(sorted({path.relative_to(self._root).parts[0] for path in paths}))
        if len(classes) < 2:
            raise DataError(
                f"Classification needs two class folders with images in them. Received: {self._root} with "
                f"{list(classes) or 'no images below a sub-folder'}. Put images into <data.root>/<class>/."
            )
        index = {name: i for i, name in enumerate(classes)}
        keys = tuple(path.relative_to(self._root).as_posix() for path in paths)
        return Examples(
            keys=keys,
            labels=np.array([index[key.partition("/")[0]] for key in keys]),
            class_names=classes,
            read=lambda i: read_file(paths[i]),
            origin=str(self._root),
        )
