"""The folders of prepared images, and how one is found, trusted and written."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from medexp.data.dataset import Facts
from medexp.types import InputSpec, digest_of

IMAGES, FACTS = "images.npy", "facts.npz"
VERSION = 1


@dataclass(frozen=True)
class Stored:
    """A finished folder: facts of its images, and, unless they are streamed, their pixels, in the same order."""

    path: Path
    facts: Facts

    @property
    def images(self) -> Path:
        return self.path / IMAGES


def folder_name(content: list[str], input: InputSpec) -> str:
    """Name a folder: digest of the data (order, names and repetitions do not matter), digest of the preprocessing."""
    return f"{digest_of([VERSION, sorted(set(content))])}-{input.digest}"


def open_stored(path: Path, *, with_images: bool) -> Stored | None:
    """Return the finished folder at `path`; None where there is none, or one that cannot be trusted."""
    try:
        facts = _read_facts(path / FACTS)
        if with_images and np.load(path / IMAGES, mmap_mode="r").shape[:1] != facts.content.shape:
            return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Stored(path, facts)


def finish(building: Path, path: Path, facts: Facts) -> None:
    """Make the folder `building` the finished folder `path`, in one step, when all of it is on the disk."""
    with (building / FACTS).open("wb") as file:
        np.savez(file, **asdict(facts))
    for name in (FACTS, IMAGES):
        if (building / name).exists():
            with (building / name).open("rb") as file:
                os.fsync(file.fileno())
    try:
        building.rename(path)
    except OSError:
        if open_stored(path, with_images=(building / IMAGES).exists()) is not None:
            return  # another origin has the same images, and was first
        shutil.rmtree(path)  # damaged, or without the pixels that are now there
        building.rename(path)


def reserve(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """Make a `.npy` file of zeros whose blocks are reserved (OSError where the disk is too small).

    Writing to a map of a file without blocks ends the process when the disk is full.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    size = array.offset + array.nbytes
    del array
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def earlier(folder: Path, input: InputSpec) -> list[Stored]:
    """All finished folders below `folder` with pixels prepared for `input`."""
    found = [open_stored(path, with_images=True) for path in sorted(folder.glob(f"*-{input.digest}"))]
    return [stored for stored in found if stored is not None]


def _read_facts(path: Path) -> Facts:
    with np.load(path, allow_pickle=False) as file:
        return Facts(**{field.name: file[field.name] for field in fields(Facts)})
