"""Prepared images, from a memory-mapped file or decoded as they are asked for."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from medexp.data.cache.reading import cpus, read_image
from medexp.data.source import Images
from medexp.types import InputSpec

_RESIDENT = 64 * 2**20  # bytes of the map that may stay in memory beside the system's own cache
_AROUND = 2 * 2**20  # that a read of one image may bring in: the kernel maps up to a huge page around a fault


class MappedPixels:
    """Images in a `.npy` file, memory-mapped.

    Pages that were read are given back to the system at once: they stay in its cache, and the process does not grow to
    the size of the file.

    Args:
        path: of the file, shape (m, *input.shape).
        input: what the images are prepared for.
        rows: the place in the file of each image, (n,); -1 for one that could not be read, which is black.
    """

    def __init__(self, path: Path, input: InputSpec, rows: np.ndarray) -> None:
        mapped = np.load(path, mmap_mode="r")
        if mapped.shape[1:] != input.shape or mapped.dtype != input.dtype:
            raise ValueError(f"{path.name} holds {mapped.dtype} {mapped.shape}, not {input.dtype} {input.shape}")
        self._map: mmap.mmap = mapped._mmap
        self._images = np.asarray(mapped)
        self._rows = rows
        self._input = input
        small = mapped.nbytes <= _RESIDENT
        self._at_a_time = None if small else max(1, _RESIDENT // (_AROUND + mapped.nbytes // len(mapped)))

    @property
    def input(self) -> InputSpec:
        """What the images are prepared for."""
        return self._input

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows`, `input.dtype`, shape (rows, *input.shape), as a new array."""
        places = self._rows[rows]
        if self._at_a_time is None:
            taken = np.asarray(self._images[places])
            taken[places < 0] = 0
            return taken
        taken = np.empty((len(places), *self._input.shape), dtype=self._input.dtype)
        for start in range(0, len(places), self._at_a_time):
            part = slice(start, start + self._at_a_time)
            np.take(self._images, places[part], axis=0, out=taken[part], mode="clip")
            self._map.madvise(mmap.MADV_DONTNEED)
        taken[places < 0] = 0
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
