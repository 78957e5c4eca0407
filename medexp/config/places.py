"""Which keys say where things are or how they are shown, and how saved places follow what was moved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medexp.config.schema import AugmentedDataConfig

SOURCES = ("root", "manifest", "labels", "search", "folder", "download_to", "url")  # of the sources in medexp.data
FILES = (
    *(f"data.{name}" for name in SOURCES if name != "url"),
    "data.split_file",
    "data.split.together",
    "data.cache.folder",
)
PLACES = (
    "paths", "paths.root", "paths.outputs", "paths.datasets", "tracking.uri", "tracking.artifacts", "logger.uri",
    "logger.artifacts", "runtime.console_level", "data.workers", "data.cache.max_gb", "data.cache.workers", "data.url",
    *FILES,
)  # fmt: skip
_SCHEME = r"(?:[\w+.-]+:/{2,3})?"


def may_be_place(key: str) -> bool:
    """Whether `key` names a place, or is a key of some data source whose saved value will tell."""
    head, _, name = key.partition(".")
    return key in PLACES or (head == "data" and "." not in name and name not in AugmentedDataConfig.model_fields)


def is_place(key: str, saved: Any) -> bool:
    """Whether `key`, saved with this value, names a place: by its name, or because the value is an absolute path."""
    if key in PLACES:
        return True
    values = saved if isinstance(saved, list) and saved else [saved]
    return may_be_place(key) and all(isinstance(value, str) and value.startswith("/") for value in values)


@dataclass(frozen=True)
class Moves:
    """Folders that are elsewhere now than when a configuration was saved: old path to new path."""

    folders: Mapping[str, str]

    def apply(self, value: Any) -> Any:
        """Return `value` with every path in it as it is now.

        A path follows its folder if it is there now, or is no longer where it was; else it stays. URLs of files
        (`sqlite:////outputs/mlflow.db`) are paths, too.
        """
        if isinstance(value, Mapping):
            return {key: self.apply(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self.apply(child) for child in value]
        if not isinstance(value, str):
            return value
        for old in sorted(self.folders, key=len, reverse=True):  # the innermost folder first
            match = re.match(rf"({_SCHEME}){re.escape(old)}(?=/|$)", value)
            if not old or match is None:
                continue
            moved = f"{match[1]}{self.folders[old]}{value[match.end() :]}"
            return moved if _exists(moved, match[1]) or not _exists(value, match[1]) else value
        return value


def _exists(text: str, scheme: str) -> bool:
    return Path(text.removeprefix(scheme).partition("?")[0]).exists()
