"""Read images in parallel: hash, decode, prepare, and write each into its row of a file."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medexp.data.dataset import Facts
from medexp.data.source import Images
from medexp.errors import DataError
from medexp.imaging.intensity import Intensity, between, mapped
from medexp.imaging.prepare import prepare
from medexp.imaging.read import Prepared, read
from medexp.types import InputSpec

_SAMPLE = 8  # images that tell how long all will take
_CHUNK, _CHUNK_SECONDS = 64, 0.05  # images, or the time for them, that a process takes at once
_AHEAD = 3  # chunks for each process that are asked for before they are needed
_START_SECONDS = {"fork": 0.1, "spawn": 1.0}  # of a pool; less work than that is done here


class Fact(NamedTuple):
    """One row of `Facts`; a tuple, because there is one for each image and it travels between processes."""

    content: str
    pixels: str
    format: str
    mode: str
    width: int
    height: int
    bits: int
    bytes: int
    error: str


class DeeperImageError(Exception):
    """An image has more bits than the pixels that were to be written; not an error of the user's."""


def read_image(images: Images, i: int, input: InputSpec) -> tuple[np.ndarray, Fact]:
    """Return image i as `input` wants it, and what is known of it (or DataError naming it)."""
    data = images.load(i)
    if isinstance(data, np.ndarray):
        content = hashlib.sha256(f"{data.dtype.str}{data.shape}".encode() + data.tobytes()).hexdigest()
        found = _prepare_array(data, input)
        size = data.nbytes
    else:
        content = hashlib.sha256(data).hexdigest()
        found = read(data, input, name=images.name(i))
        size = len(data)
    pixels = hashlib.sha256(np.ascontiguousarray(found.pixels).data).hexdigest()
    return found.pixels, Fact(
        content, pixels, found.format, found.mode, found.width, found.height, found.bits, size, ""
    )


def _prepare_array(pixels: np.ndarray, input: InputSpec) -> Prepared:
    """What `read` does with a file, for pixels that came without one."""
    height, width, bits = *pixels.shape[:2], 8 * pixels.itemsize
    mode = "RGB" if pixels.ndim == 3 else "L" if bits == 8 else "I;16"
    if input.intensity in ("window", "percentiles"):
        policy = Intensity(input.intensity, input.window, input.percentiles)
        low, high = policy.ends((0, 2**bits - 1), lambda q: tuple(np.percentile(pixels, q)), name="an array")
        pixels = mapped(pixels, lambda values: between(values, low, high), bits)
    return Prepared(prepare(pixels, input), "ARRAY", mode, width, height, bits)


def as_facts(rows: Sequence[Fact]) -> Facts:
    """Return the columns of `rows`."""
    return Facts(**{name: np.array(column) for name, column in zip(Fact._fields, zip(*rows, strict=True), strict=True)})


class Reader:
    """Reads images here, or, where that takes long enough to be worth it, in processes.

    Args:
        images: what is read.
        input: what they are prepared for.
        workers: processes; None for one each processor.
        stop_at_deeper: raise DeeperImageError at an image of more than 8 bits.
        target: a `.npy` file of shape (n, *input.shape) whose rows receive the pixels; None keeps none of them.
    """

    def __init__(
        self, images: Images, input: InputSpec, *, workers: int | None, stop_at_deeper: bool, target: Path | None
    ) -> None:
        self._task = _Task(images, input, stop_at_deeper, target)
        self._workers = workers or cpus()

    def read(self, rows: Sequence[int], *, progress: Callable[[int], None]) -> dict[int, Fact]:
        """Read the images of `rows`; an unreadable one has its `error` said and black pixels.

        Args:
            rows: indices of the images.
            progress: told how many more are done, now and then.

        Raises:
            DataError: a process that decodes was killed.
        """
        found: dict[int, Fact] = {}
        start = time.perf_counter()
        method = "fork" if _may_fork() else "spawn"
        for place, i in enumerate(rows, 1):
            found[i] = self._task(i)
            progress(1)
            each = (time.perf_counter() - start) / place
            left = len(rows) - place
            if (
                place % _SAMPLE == 0
                and self._workers > 1
                and self._task.can_move
                and left * each > _START_SECONDS[method]
            ):
                chunk = max(1, min(_CHUNK, int(_CHUNK_SECONDS / each)))
                self._read_in_processes(rows[place:], chunk, method, found, progress)
                break
        return found

    def _read_in_processes(
        self, rows: Sequence[int], chunk: int, method: str, found: dict[int, Fact], progress: Callable[[int], None]
    ) -> None:
        """Other processes take chunks from the front, this one from the back: it need not wait for them to start."""
        chunks = [rows[i : i + chunk] for i in range(0, len(rows), chunk)]
        pool = ProcessPoolExecutor(
            min(self._workers - 1, len(chunks)),
            mp_context=multiprocessing.get_context(method),
            initializer=_start_process,
            initargs=(self._task, os.getpid()),
        )
        try:
            waiting = deque(chunks)
            flying: deque[tuple[Sequence[int], Future[list[Fact]]]] = deque()
            while waiting or flying:
                while waiting and len(flying) < _AHEAD * self._workers:
                    part = waiting.popleft()
                    flying.append((part, pool.submit(_read_chunk, part)))
                if waiting and not flying[0][1].done():
                    part = waiting.pop()
                    facts = [self._task(i) for i in part]
                else:
                    part, future = flying.popleft()
                    facts = future.result()
                found.update(zip(part, facts, strict=True))
                progress(len(facts))
        except BrokenProcessPool as error:
            raise DataError(
                "A process that decodes images was ended from outside, probably for want of memory. Received: "
                f"data.cache.workers={self._workers}. Use fewer: data.cache.workers=1"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


class _Task:
    """Read one image and keep its pixels. Pickled once per process."""

    def __init__(self, images: Images, input: InputSpec, stop_at_deeper: bool, target: Path | None) -> None:
        self._images, self._input, self._stop, self._target = images, input, stop_at_deeper, target
        self._file: int | None = None
        self.can_move = True  # pixels in memory are not sent to other processes

    def __call__(self, i: int) -> Fact:
        try:
            pixels, fact = read_image(self._images, i, self._input)
        except DataError as error:
            return _unreadable(self._images, i, error)
        if self._stop and fact.bits > 8:
            raise DeeperImageError
        self.can_move = fact.format != "ARRAY"
        if self._target is not None:
            if self._file is None:  # writing to a map would cost a fault for each page
                self._offset = np.load(self._target, mmap_mode="r").offset
                self._file = os.open(self._target, os.O_WRONLY)
            data = np.ascontiguousarray(pixels).data.cast("B")
            os.pwrite(self._file, data, self._offset + i * len(data))
        return fact

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None}


def _unreadable(images: Images, i: int, error: DataError) -> Fact:
    try:
        data = images.load(i)
    except DataError:
        data = b""
    size = len(data) if isinstance(data, bytes) else data.nbytes
    content = hashlib.sha256(data if size and isinstance(data, bytes) else images.name(i).encode()).hexdigest()
    return Fact(content, "", "", "", 0, 0, 0, size, " ".join(str(error).split()))


def cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_fork() -> bool:
    """A copy of a process with threads may inherit a lock that nobody will open."""
    risky = {"tensorflow", "jax", "torch"} & set(sys.modules)
    return sys.platform == "linux" and not risky and threading.active_count() == 1


_task: _Task | None = None


def _start_process(task: _Task, parent: int) -> None:
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _read_chunk(rows: Sequence[int]) -> list[Fact]:
    assert _task is not None
    return [_task(i) for i in rows]
