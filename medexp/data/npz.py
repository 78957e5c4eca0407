"""Images in the arrays of a NumPy archive, read when the first one is wanted."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from medexp.data.source import Files
from medexp.errors import DataError

DAMAGE = (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class ArrayHeader:
    """What an array's header says: its member of the archive, its type (`uint8`) and its shape."""

    member: str
    dtype: str
    shape: tuple[int, ...]


def read_header(file: zipfile.ZipFile, name: str) -> ArrayHeader:
    """Return the header of the array `name`; no more than its first bytes are decompressed.

    Raises:
        KeyError: there is no such array.
        ValueError: it is not an array, or its order is Fortran's.
    """
    with file.open(f"{name}.npy") as member:
        return _header(member, f"{name}.npy")


def _header(member: IO[bytes], name: str) -> ArrayHeader:
    """Read the header and leave `member` at the first value."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(member)
    if fortran and len(shape) > 1:
        raise ValueError(f"{name} is in Fortran order")
    return ArrayHeader(name, str(dtype), tuple(shape))


class NpzImages:
    """The images of some `uint8` arrays of shape (n, height, width[, 3]), one array after the other.

    Nothing is read before the first image of an array is wanted. The array is then unpacked once, into a file without
    a name in the folder for temporary files (TMPDIR), which goes when this object does: any image is at hand in any
    order, at the cost of one image's memory. Safe in threads; a copy in another process unpacks for itself.

    Args:
        path: of the archive.
        arrays: what it holds.
    """

    def __init__(self, path: Path, arrays: Sequence[ArrayHeader]) -> None:
        self._path = path
        self._arrays = tuple(arrays)
        self._ends = np.cumsum([array.shape[0] for array in arrays])
        self._archive = Files([path])
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, IO[bytes]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def name(self, i: int) -> str:
        """The archive, the array and the place in it."""
        array, place = self._find(i)
        return f"{self._path}:{array.member.removesuffix('.npy')}[{place}]"

    def stamp(self, i: int) -> str | None:
        """That of the archive, and the place."""
        archive = self._archive.stamp(0)
        return archive and f"{archive}-{i}"

    def load(self, i: int) -> np.ndarray:
        """Return image i, (height, width[, 3]); DataError where the archive is damaged or there is no room."""
        array, place = self._find(i)
        shape = array.shape[1:]
        size = math.prod(shape)
        with self._lock:
            file = self._open.get(array.member)
            if file is None:
                file = self._open[array.member] = self._unpack(array)
        return np.frombuffer(os.pread(file.fileno(), size, place * size), np.uint8).reshape(shape)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_open")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _find(self, i: int) -> tuple[ArrayHeader, int]:
        which = int(np.searchsorted(self._ends, i, side="right"))
        array = self._arrays[which]
        return array, i - int(self._ends[which]) + array.shape[0]

    def _unpack(self, array: ArrayHeader) -> IO[bytes]:
        try:
            archive = zipfile.ZipFile(self._path)
        except (OSError, *DAMAGE) as error:
            raise DataError(f"The file cannot be read ({error}). Received: {self._path}.") from error
        target = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as this object
        try:
            with archive, archive.open(array.member) as member:
                if _header(member, array.member) != array:
                    raise ValueError("it is another array than before")
                shutil.copyfileobj(member, target, 1 << 20)
                target.flush()
            if target.tell() != math.prod(array.shape):
                raise ValueError(f"{target.tell():,} bytes of values instead of {math.prod(array.shape):,}")
        except OSError as error:
            target.close()
            raise DataError(
                f"{array.member} cannot be unpacked ({error.strerror or error}). Received: {self._path}, "
                f"{math.prod(array.shape):,} bytes unpacked, in {tempfile.gettempdir()}. For another folder set TMPDIR."
            ) from error
        except DAMAGE as error:
            target.close()
            raise DataError(f"The file is damaged ({error}). Received: {self._path}, {array.member}.") from error
        return target
