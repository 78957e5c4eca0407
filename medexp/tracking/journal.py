"""The journal of a run: what it was given, on disk before it is sent, and how much of it was sent."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medexp.errors import TrackingError
from medexp.tracking.entry import DAMAGED, METRICS, PARAMS, RUN, STATUS, TAGS, Entry

logger = logging.getLogger(__name__)
JOURNAL, SENT = "tracking.jsonl", "tracking.sent"
OPEN = (None, "RUNNING")  # the status of a run that has no end yet
_NUMBERS_PER_WRITE = 1000  # of metrics, in one request to MLflow


@dataclass(frozen=True)
class Written:
    """An entry, and the bytes of the file that hold it; `end` is None where the disk had no room for it yet."""

    entry: Entry
    start: int
    end: int | None


class Journal:
    """An append-only file of JSON lines (`tracking.jsonl`), and beside it `tracking.sent`.

    A line that was half written when the process was killed is cut off. Where a line cannot be written (the disk is
    full) it is held in memory, can be sent from there, and is written when there is room again. Safe to use from
    several threads; one process at a time (`medexp.tracking.lock`). Once it is closed, a TrackingError says so to a
    thread that still works on it.

    Args:
        folder: the run's.
        head: opens a new journal with it; None: the journal exists.

    Raises:
        TrackingError: there is no journal, or nobody knows whose it is.
    """

    def __init__(self, folder: Path, *, head: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._path = folder / JOURNAL
        self._lock = threading.Lock()
        self._held: list[Entry] = []
        self._full = False
        self._steps: dict[str, dict[int, int]] = {}
        self._params: dict[str, str] = {}
        self._status: str | None = None
        self._open = True
        if head is None and not self._path.is_file():
            raise TrackingError(f"There is no journal of a run. Received: {folder}. It would hold {JOURNAL}")
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._size = self._read()
            self._upto, self._refused = self._read_sent()
            if head is not None:
                self.append(Entry(RUN, head))
                _sync_folder(folder)
            first = Entry.parse(self._bytes(0, self._size).partition(b"\n")[0])
        except BaseException:
            os.close(self._file)
            raise
        if first.kind != RUN:
            os.close(self._file)
            raise TrackingError(f"The journal does not say whose it is. Received: {self._path}")
        self.run_id = str(first.data["run_id"])
        self.store: str | None = first.data["store"]

    @property
    def status(self) -> str | None:
        """The last status that was written; one of OPEN where the run has no end yet."""
        return self._status

    @property
    def params(self) -> Mapping[str, str]:
        """All parameters."""
        return self._params

    def steps(self, name: str) -> dict[int, int]:
        """When each step of metric `name` was written: step to milliseconds since 1970."""
        return self._steps.get(name, {})

    def last_step(self, prefix: str) -> int | None:
        """The largest step of all metrics whose names begin with `prefix`."""
        found = [max(steps) for name, steps in self._steps.items() if name.startswith(prefix) and steps]
        return max(found, default=None)

    def append(self, entry: Entry, *, durable: bool = True) -> None:
        """Write an entry; with `durable` it is on the disk, not only with the system, when the call returns."""
        with self._opened():
            self._index(entry)
            self._held.append(entry)
            self._write_held(durable=durable)

    def pending(self) -> list[Written]:
        """What is to be sent next: one entry, or several of metrics in one go; empty when all was sent."""
        with self._opened():
            found: list[Written] = []
            count, start = 0, self._upto
            block = self._bytes(self._upto, self._size)
            for line in block.splitlines(keepends=True):
                end = start + len(line)
                written = Written(Entry.parse(line), start, end)
                start = end
                if written.entry.kind == RUN or written.entry.sent:
                    if not found:
                        self._upto = end
                    continue
                count += len(written.entry.data.get("metrics", ())) if written.entry.kind == METRICS else 0
                if found and (written.entry.kind != METRICS or count > _NUMBERS_PER_WRITE):
                    break
                found.append(written)
                if written.entry.kind != METRICS:
                    break
            if not found:
                held = [(index, entry) for index, entry in enumerate(self._held) if not entry.sent]
                found = [Written(entry, index, None) for index, entry in held[:1]]
            return found

    def acknowledge(self, written: Written, *, refused: str | None = None) -> None:
        """Remember that everything up to `written` was sent, or that the store refused it and why."""
        with self._opened():
            if written.end is None:
                self._held = [replace(e, sent=True) if e is written.entry else e for e in self._held]
                return
            self._upto = max(self._upto, written.end)
            if refused is not None:
                self._refused[written.start] = refused
            self._write_sent()

    def refused(self) -> list[tuple[Written, str]]:
        """The entries that the store refused, and why, in their order."""
        with self._opened():
            found = []
            for start, reason in sorted(self._refused.items()):
                line = self._bytes(start, self._size).partition(b"\n")[0]
                found.append((Written(Entry.parse(line), start, start + len(line) + 1), reason))
            return found

    def accepted(self, written: Written) -> None:
        """Remember that the store took an entry that it had refused."""
        with self._opened():
            self._refused.pop(written.start, None)
            self._write_sent()

    def left(self) -> int:
        """How many entries were not sent, those that were refused among them."""
        with self._opened():
            waiting = [Entry.parse(line) for line in self._bytes(self._upto, self._size).splitlines()]
            unsent = sum(1 for entry in (*waiting, *self._held) if entry.kind != RUN and not entry.sent)
            return unsent + len(self._refused)

    def later(self, written: Written) -> list[Entry]:
        """Everything that was written after an entry."""
        with self._opened():
            return [Entry.parse(line) for line in self._bytes(written.end or 0, self._size).splitlines()]

    @property
    def last_time(self) -> int:
        """When the last entry was written, in milliseconds since 1970."""
        with self._opened():
            times = [Entry.parse(line).time for line in self._bytes(0, self._size).splitlines()]
            return max(times, default=0)

    def close(self) -> None:
        """Give the file back; entries that still find no room on the disk are lost, and the log says so."""
        with self._lock:
            if not self._open:
                return
            self._write_held(durable=True)
            self._open = False
            if lost := sum(1 for entry in self._held if not entry.sent):
                logger.error("%d entries of run %s found no room on the disk: %s", lost, self.run_id, self._path)
            os.close(self._file)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Hold the lock on the open file: the number of a closed one may be that of another file by now."""
        with self._lock:
            if not self._open:
                raise TrackingError(f"The journal was closed. Received: {self._path}")
            yield

    def _index(self, entry: Entry) -> None:
        if entry.kind == METRICS:
            for name in entry.data["metrics"]:
                self._steps.setdefault(name, {})[entry.data["step"]] = entry.time
        elif entry.kind == PARAMS:
            self._params.update(entry.data["params"])
        elif entry.kind == STATUS:
            self._status = entry.data["status"]

    def _read(self) -> int:
        """Index what the file holds, cut a broken end, return the size of the rest."""
        size = os.fstat(self._file).st_size
        good = start = 0
        for line in self._bytes(0, size).splitlines(keepends=True):
            start += len(line)
            entry = Entry.parse(line) if line.endswith(b"\n") else None
            if entry is not None and entry.kind != DAMAGED:
                good = start
                self._index(entry)
        if good < size:
            os.ftruncate(self._file, good)
        return good

    def _bytes(self, start: int, end: int) -> bytes:
        return os.pread(self._file, max(end - start, 0), start)

    def _write_held(self, *, durable: bool) -> None:
        while self._held:
            line = self._held[0].line()
            try:
                # At a known place, not at the end of the file: what is interrupted is written over.
                os.ftruncate(self._file, self._size)
                if os.pwrite(self._file, line, self._size) != len(line):
                    raise OSError("no room")
                if durable:
                    os.fsync(self._file)
            except OSError as error:
                if not self._full:
                    logger.error("the journal %s cannot be written (%s): kept in memory", self._path, error)
                self._full = True
                return
            self._full = False
            self._size += len(line)
            self._held.pop(0)

    def _read_sent(self) -> tuple[int, dict[int, str]]:
        """A file that cannot be read is as none: sending again changes nothing."""
        try:
            data = json.loads((self.folder / SENT).read_text())
            refused = {int(item["at"]): str(item["reason"]) for item in data["refused"] if item["at"] < self._size}
            return min(int(data["upto"]), self._size), refused
        except (OSError, ValueError, KeyError, TypeError):
            return 0, {}

    def _write_sent(self) -> None:
        refused = [{"at": start, "reason": reason} for start, reason in sorted(self._refused.items())]
        scratch = self.folder / f"{SENT}.new"
        try:
            scratch.write_text(json.dumps({"upto": self._upto, "refused": refused}) + "\n")
            scratch.replace(self.folder / SENT)
        except OSError as error:  # then it is sent again, which changes nothing
            logger.info("%s cannot be written: %s", SENT, error)


def last_status(folder: Path) -> str | None:
    """Return the last status in the journal of the run in `folder`, which may be live; None where there is none."""
    return next((str(entry.data["status"]) for entry in _backwards(folder) if entry.kind == STATUS), None)


def last_tag(folder: Path, name: str) -> str | None:
    """Return what the tag `name` was set to last, after the run in `folder` was opened; None where it was not."""
    found = (entry.data["tags"] for entry in _backwards(folder) if entry.kind == TAGS)
    return next((str(tags[name]) for tags in found if name in tags), None)


def _backwards(folder: Path) -> Iterator[Entry]:
    try:
        lines = (folder / JOURNAL).read_bytes().splitlines()
    except OSError:
        return
    for line in reversed(lines):
        yield Entry.parse(line)


def _sync_folder(folder: Path) -> None:
    """Put the name of a new file on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
