"""Images in a folder per class."""

from __future__ import annotations

import re
from pathlib import Path

from medexp.data.label_columns import index_classes
from medexp.data.source import Examples, Files
from medexp.data.split_names import split_called
from medexp.data.walk import find_files
from medexp.errors import DataError
from medexp.types import Split

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom")


class FolderSource:
    """Reads `<root>/<class>/**/*.png` (JPEG, TIFF, BMP, WebP and DICOM too); the folder's name is the class.

    Where all folders with images are called train, val and test (or Training, Valid, Testing ... in any case), and
    there is more than one, they are the split, and classes are the folders in them: `<root>/<split>/<class>/**`.

    Args:
        root: the folder that holds the folders. Relative paths count from the current directory.
        group_regex: what of a file's name says its group (patient): the first pair of parentheses, or all that
            matches. It is looked for anywhere in the name; None where every image stands alone.

    Raises:
        DataError: `group_regex` is not a regular expression.
    """

    def __init__(self, *, root: str, group_regex: str | None = None) -> None:
        self._root = Path(root).expanduser().absolute()
        try:
            self._group = None if group_regex is None else re.compile(group_regex)
        except re.error as error:
            raise DataError(
                f"data.group_regex: not a regular expression ({error}). Received: {group_regex!r}. "
                "Override: data.group_regex='^([^_]+)_' for all up to the first underscore"
            ) from error

    def prepare(self) -> None:
        """Nothing to do."""

    def examples(self) -> Examples:
        """Return all images below the class folders, in the order of their relative paths."""
        if not self._root.is_dir():
            raise DataError(f"There is no such folder. Received: data.root={self._root}. Override: data.root=...")
        keys = tuple(key for key in find_files(self._root) if key.lower().endswith(SUFFIXES) and "/" in key)
        splits = self._splits(keys)
        labels = index_classes(key.split("/")[0 if splits is None else 1] for key in keys)
        if len(labels.class_names) < 2:
            raise DataError(
                f"Classification needs two class folders with images in them. Received: {self._root} with "
                f"{list(labels.class_names) or 'no images below a sub-folder'}. Put images into <data.root>/<class>/, "
                "or name the folder that holds the classes: data.root=..."
            )
        return Examples(
            keys=keys,
            labels=labels.values,
            class_names=labels.class_names,
            images=Files([self._root / key for key in keys]),
            origin=str(self._root),
            groups=None if self._group is None else tuple(self._group_of(key, self._group) for key in keys),
            splits=splits,
        )

    def _splits(self, keys: tuple[str, ...]) -> tuple[Split, ...] | None:
        """The split of each image, where the top folders say it."""
        tops = sorted({key.partition("/")[0] for key in keys})
        called = {top: split_called(top) for top in tops}
        found = {split for split in called.values() if split}
        if not (found > {"train"}):
            return None
        strange = [top for top, split in called.items() if split is None]
        if strange:
            raise DataError(
                f"Some folders are called as splits are, and some are not. Received: {', '.join(tops)} in "
                f"{self._root}. Move {', '.join(strange)} elsewhere, or put the folders of all classes into one "
                "folder and name that: data.root=..."
            )
        for key in keys:
            if key.count("/") < 2:
                raise DataError(
                    f"In a folder per split, images are in a folder per class. Received: {key} in {self._root}. "
                    "Put it into <data.root>/<split>/<class>/."
                )
        splits = (called[key.partition("/")[0]] for key in keys)
        return tuple(split for split in splits if split)

    def _group_of(self, key: str, pattern: re.Pattern[str]) -> str:
        found = pattern.search(key.rpartition("/")[2])
        group = found and found[1 if pattern.groups else 0]
        if not group:
            raise DataError(
                f"data.group_regex: a file's name does not say its group. Received: {pattern.pattern!r} and "
                f"{self._root / key}. Override: data.group_regex=... (null: every image stands alone)"
            )
        return group
