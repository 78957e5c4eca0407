"""Prepared images, from a memory-mapped file or decoded as they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from medexp.data.cache.reading import cpus, read_image
from medexp.data.source import Images
from medexp.types import InputSpec

_MAPPED = 128 * 2**20  # bytes: a larger file is not mapped, see MappedPixels


class MappedPixels:
    """Images in a `.npy` file, memory-mapped.

    Of a file of more than 128 MiB, rows are read one by one instead: each fault of a map brings in up to a huge page
    (2 MiB), so that a random batch would make the process as large as the file, and giving pages back after each batch
    costs more than reading the rows.

    Args:
        path: of the file, shape (m, *input.shape).
        input: what the images are prepared for.
        rows: the place in the file of each image, (n,); -1 for one that could not be read, which is black.
    """

    def __init__(self, path: Path, input: InputSpec, rows: np.ndarray) -> None:
        mapped = np.load(path, mmap_mode="r")
        if mapped.shape[1:] != input.shape or mapped.dtype != input.dtype:
            raise ValueError(f"{path.name} holds {mapped.dtype} {mapped.shape}, not {input.dtype} {input.shape}")
        self._images = np.asarray(mapped) if mapped.nbytes <= _MAPPED else None
        self._file = path.open("rb", buffering=0)
        self._offset = mapped.offset
        self._rows = rows
        self._input = input

    @property
    def input(self) -> InputSpec:
        """What the images are prepared for."""
        return self._input

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows`, `input.dtype`, shape (rows, *input.shape), as a new array."""
        places = self._rows[rows]
        mapped = self._images
        taken = self._read(places) if mapped is None else mapped.take(places, axis=0, mode="wrap")
        taken[places < 0] = 0
        return taken

    def _read(self, places: np.ndarray) -> np.ndarray:
        taken = np.empty((len(places), *self._input.shape), dtype=self._input.dtype)
        size = taken[:1].nbytes
        target, file = taken.reshape(-1).view(np.uint8).data, self._file.fileno()
        for start, place in zip(range(0, taken.nbytes, size), places.tolist(), strict=True):
            if place >= 0 and os.preadv(file, [target[start : start + size]], self._offset + place * size) != size:
                raise OSError(f"{self._file.name} ends before row {place}")
        return taken


class StreamedPixels:
    """Images decoded for each request: for a set that is too large to be kept prepared. The same pixels.

    Args:
        images: to decode.
        input: what they are prepared for.
        unreadable: indices of those that could not be read, which are black.
        workers: threads; None for one each processor.
    """

    def __init__(
        self, images: Images, input: InputSpec, *, unreadable: Iterable[int] = (), workers: int | None = None
    ) -> None:
        self._images, self._input = images, input
        self._unreadable = frozenset(unreadable)
        self._threads = ThreadPoolExecutor(workers or cpus(), thread_name_prefix="decode")

    @property
    def input(self) -> InputSpec:
        """What the images are prepared for."""
        return self._input

    def __len__(self) -> int:
        return len(self._images)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Decode the images of `rows`: `input.dtype`, shape (rows, *input.shape) (or DataError naming a file)."""
        taken = np.empty((len(rows), *self._input.shape), dtype=self._input.dtype)
        for place, pixels in enumerate(self._threads.map(self._read, rows.tolist())):
            taken[place] = pixels
        return taken

    def _read(self, i: int) -> np.ndarray:
        if i in self._unreadable:
            return np.zeros(self._input.shape, dtype=self._input.dtype)
        return read_image(self._images, i, self._input)[0]
