"""Open the prepared images of a data set: from the cache, or building what is missing of it."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from medexp.data.cache.pixels import MappedPixels, StreamedPixels
from medexp.data.cache.reading import DeeperImageError, Fact, Reader, as_facts
from medexp.data.cache.stamps import Stamps
from medexp.data.cache.store import IMAGES, Stored, earlier, finish, folder_name, open_stored, reserve
from medexp.data.dataset import Facts, Pixels
from medexp.data.source import Images
from medexp.errors import DataError
from medexp.types import InputSpec, digest_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The images of a data set as a network sees them, and the facts of their files."""

    pixels: Pixels
    facts: Facts


class PixelCache:
    """Decodes and resizes a data set once; later and in other processes it is opened in a moment.

    A folder is named by the digests of the content and of the preprocessing. It is written beside its place and
    moved there when it is whole, under a lock, so that what a killed process leaves is never trusted, and several that
    want the same build it once. Images that an earlier folder has are copied from it; only others are decoded.

    Args:
        folder: of all caches.
        max_bytes: of the pixels of one data set; a larger one is decoded anew for each batch.
        workers: processes that decode; None for one each processor.
    """

    def __init__(self, folder: Path, *, max_bytes: float, workers: int | None) -> None:
        self._root = folder
        self._folder = folder / "pixels"
        self._max_bytes = max_bytes
        self._workers = workers

    def open(self, images: Images, *, origin: str, input: InputSpec, any_depth: bool) -> Prepared:
        """Return the prepared images.

        Args:
            images: of the data set.
            origin: where they come from; names the record of unchanged files.
            input: what they are prepared for.
            any_depth: take 16 bits where an image has more than 8, whatever `input.bits` says.

        Raises:
            DataError: the folder cannot be written. An unreadable image is no error here: its fact says so.
        """
        spec = replace(input, bits=8) if any_depth else input
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            marks = [images.stamp(i) or "" for i in range(len(images))]  # before anything is read: a change is seen
            found = self._find(images, self._stamps(origin).contents(images, marks), spec, any_depth)
            if found is None:
                with self._lock(digest_of([origin, replace(spec, bits=8).digest])) as building:
                    stamps = self._stamps(origin)
                    found = self._find(images, stamps.contents(images, marks), spec, any_depth)
                    if found is None:
                        found = self._build(images, stamps, marks, spec, any_depth, building)
            return found
        except OSError as error:
            raise DataError(
                f"Prepared images cannot be kept ({error.strerror}). Received: data.cache.folder={self._root}. "
                "Choose a folder that can be written: data.cache.folder=..."
            ) from error

    def _stamps(self, origin: str) -> Stamps:
        return Stamps(self._root / "stamps" / f"{digest_of(origin)}.npz")

    # ---- find

    def _find(self, images: Images, content: Sequence[str], input: InputSpec, any_depth: bool) -> Prepared | None:
        if not all(content):
            return None
        for bits in (8, 16) if any_depth else (input.bits,):
            spec = replace(input, bits=bits)
            kept = self._keeps(len(images), spec)
            stored = open_stored(self._folder / folder_name(content, spec), spec, with_images=kept)
            if stored is not None and not (any_depth and bits == 8 and (stored.facts.bits > 8).any()):
                try:
                    return self._open(stored, images, content, {}, spec, kept)
                except FileNotFoundError:  # another process has just removed it
                    return None
        return None

    def _keeps(self, count: int, input: InputSpec) -> bool:
        return count * int(np.prod(input.shape)) * input.bits // 8 <= self._max_bytes

    def _open(
        self,
        stored: Stored,
        images: Images,
        content: Sequence[str],
        unreadable: Mapping[int, Fact],
        input: InputSpec,
        kept: bool,
    ) -> Prepared:
        place = {known: row for row, known in enumerate(stored.facts.content.tolist()) if known}
        rows = np.array([-1 if i in unreadable else place[one] for i, one in enumerate(content)], dtype=np.int64)
        columns = {}
        for field in fields(Facts):
            column = getattr(stored.facts, field.name)
            values = column[rows] if len(column) else np.zeros(len(rows), dtype=column.dtype)
            if unreadable:
                values = values.astype(object)
                for i, fact in unreadable.items():
                    values[i] = getattr(fact, field.name)
                values = np.array(values.tolist())
            columns[field.name] = values
        pixels: Pixels
        if kept:
            pixels = MappedPixels(stored.images, input, rows)
        else:
            pixels = StreamedPixels(images, input, unreadable=unreadable, workers=self._workers)
        return Prepared(pixels, Facts(**columns))

    # ---- build

    @contextmanager
    def _lock(self, name: str) -> Iterator[Path]:
        """Wait for whoever builds the same, and yield the place to build in, cleared of what a killed one left."""
        (self._root / "locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._root / "locks" / f"{name}.lock")
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            logger.info("another process prepares these images: waiting for it")
            lock.acquire()
        building = self._folder / f".building-{name}"
        try:
            for left in self._folder.glob(".building-*"):
                self._clear(left, mine=left == building)
            building.mkdir()
            yield building
        finally:
            shutil.rmtree(building, ignore_errors=True)
            lock.release()

    def _clear(self, left: Path, *, mine: bool) -> None:
        """Remove what a killed build left; one whose lock is held is at work."""
        other = FileLock(self._root / "locks" / f"{left.name.removeprefix('.building-')}.lock")
        try:
            if not mine:
                other.acquire(timeout=0)
            shutil.rmtree(left, ignore_errors=True)
        except Timeout:
            pass
        finally:
            other.release()

    def _build(
        self, images: Images, stamps: Stamps, marks: list[str], input: InputSpec, any_depth: bool, building: Path
    ) -> Prepared:
        try:
            return self._build_as(images, stamps, marks, input, any_depth, building)
        except DeeperImageError:
            logger.info("an image has more than 8 bits: the pixels are kept with 16")
            (building / IMAGES).unlink(missing_ok=True)
            return self._build_as(images, stamps, marks, replace(input, bits=16), False, building)

    def _build_as(
        self,
        images: Images,
        stamps: Stamps,
        marks: list[str],
        input: InputSpec,
        stop_at_deeper: bool,
        building: Path,
    ) -> Prepared:
        content = stamps.contents(images, marks)
        kept = self._keeps(len(images), input) and self._reserve(building / IMAGES, len(images), input)
        known = {one: (stored, row) for stored in earlier(self._folder, input)
                 for row, one in enumerate(stored.facts.content.tolist()) if one} if kept else {}  # fmt: skip
        reused = {i: known[one] for i, one in enumerate(content) if one in known}
        rows = [i for i in range(len(images)) if i not in reused]
        if stop_at_deeper and any(stored.facts.bits[row] > 8 for stored, row in reused.values()):
            raise DeeperImageError
        reader = Reader(
            images, input, workers=self._workers, stop_at_deeper=stop_at_deeper,
            target=building / IMAGES if kept else None,
        )  # fmt: skip
        with _progress("preparing images", len(rows)) as progress:
            read = reader.read(rows, progress=progress)
        unreadable = {i: fact for i, fact in read.items() if fact.error}  # now: a decoder or a network may come back
        for i, fact in read.items():
            content[i] = "" if fact.error else fact.content
        path = self._folder / folder_name(content, input)
        stored = open_stored(path, input, with_images=kept)
        if stored is None:
            known_facts = [read[i] if i in read else _fact(*reused[i]) for i in range(len(images))]
            _copy(reused, building / IMAGES)
            for i in unreadable:
                known_facts[i] = known_facts[i]._replace(content="")
            facts = as_facts(known_facts)
            stored = finish(building, path, facts, input)
        self._forget(stamps.replace_folder(path.name, input.digest), stamps)
        stamps.write(images, marks, content)
        return self._open(stored, images, content, unreadable, input, kept)

    def _forget(self, names: Sequence[str], own: Stamps) -> None:
        """Remove the folders that this origin's changed images have made useless; who has one open keeps it."""
        others = [Stamps(path).folders for path in (self._root / "stamps").glob("*.npz") if path != own.path]
        for name in names:
            if not any(name in folders for folders in others):
                logger.info("removing %s: its images have changed", self._folder / name)
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def _reserve(self, path: Path, count: int, input: InputSpec) -> bool:
        try:
            reserve(path, (count, *input.shape), input.dtype)
        except OSError as error:
            logger.warning(
                "%.1f GB of prepared images do not fit on the disk (%s): images are decoded anew for each batch. "
                "Another disk: data.cache.folder=...", count * np.prod(input.shape) * input.bits / 8e9, error.strerror
            )  # fmt: skip
            path.unlink(missing_ok=True)
            return False
        return True


def _fact(stored: Stored, row: int) -> Fact:
    return Fact(*(getattr(stored.facts, name)[row].item() for name in Fact._fields))


def _copy(reused: dict[int, tuple[Stored, int]], target: Path) -> None:
    if not reused:
        return
    images = np.load(target, mmap_mode="r+")
    sources: dict[Path, np.ndarray] = {}
    for i, (stored, row) in reused.items():
        if stored.path not in sources:
            sources[stored.path] = np.load(stored.images, mmap_mode="r")
        images[i] = sources[stored.path][row]
    images.flush()


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar where a person watches, and lines in the log."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    logger.info("%s: %d to decode", what, total)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
