"""The folders of prepared images, and how one is found, trusted and written."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from medexp.data.dataset import Facts
from medexp.types import InputSpec, digest_of

IMAGES, FACTS = "images.npy", "facts.npz"
VERSION = 2


@dataclass(frozen=True)
class Stored:
    """A finished folder: facts of its images, and, unless they are streamed, their pixels, in the same order."""

    path: Path
    facts: Facts

    @property
    def images(self) -> Path:
        return self.path / IMAGES


def folder_name(content: Sequence[str], input: InputSpec) -> str:
    """Name a folder: digest of the data (order, names and repetitions do not matter), digest of the preprocessing.

    Images without a content, which cannot be read now, do not count.
    """
    return f"{digest_of([VERSION, sorted(set(content) - {''})])}-{input.digest}"


def open_stored(path: Path, input: InputSpec, *, with_images: bool) -> Stored | None:
    """Return the finished folder at `path`; None where there is none, or one that cannot be trusted."""
    try:
        facts = _read_facts(path / FACTS)
        if with_images:
            images = np.load(path / IMAGES, mmap_mode="r")
            if images.shape != (len(facts.content), *input.shape) or images.dtype != input.dtype:
                return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Stored(path, facts)


def finish(building: Path, path: Path, facts: Facts, input: InputSpec) -> Stored:
    """Make the folder `building` the finished folder `path`, in one step, when all of it is on the disk.

    Returns:
        What is there then: where another origin with the same images was first, its folder, in its order.
    """
    with (building / FACTS).open("wb") as file:
        np.savez(file, **asdict(facts))
    for name in (FACTS, IMAGES):
        if (building / name).exists():
            with (building / name).open("rb") as file:
                os.fsync(file.fileno())
    with_images = (building / IMAGES).exists()
    try:
        building.rename(path)
    except OSError:
        first = open_stored(path, input, with_images=with_images)
        if first is not None:
            return first
        shutil.rmtree(path)  # damaged, or without the pixels that are now there
        building.rename(path)
    return Stored(path, facts)


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
    found = [open_stored(path, input, with_images=True) for path in sorted(folder.glob(f"*-{input.digest}"))]
    return [stored for stored in found if stored is not None]


def _read_facts(path: Path) -> Facts:
    with np.load(path, allow_pickle=False) as file:
        return Facts(**{field.name: file[field.name] for field in fields(Facts)})
