"""Send what a journal holds, in its order."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from medexp.tracking.base import RefusedError, Store
from medexp.tracking.entry import FILES, MODEL, STATUS, TAGS, Entry
from medexp.tracking.journal import Journal, Written

logger = logging.getLogger(__name__)
OUTBOX = "outbox"


class Delivery:
    """Sends a journal's entries to a store. What the store refuses is set aside with its reason.

    Args:
        journal: whose entries.
        store: where to.
        before: called with each entry that is about to be sent.
        after: called when one was sent or set aside.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        *,
        before: Callable[[Entry], None] = lambda entry: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._store = store
        self._before = before
        self._after = after
        self.sent: dict[str, int] = {}
        self.model_uri: str | None = None

    def run(self) -> None:
        """Send all that is pending (UnavailableError: the rest waits)."""
        while batch := self._journal.pending():
            if len(batch) == 1:
                self._one(batch[0])
                continue
            try:
                self._send([written.entry for written in batch])
            except RefusedError:
                for written in batch:
                    self._one(written)
                continue
            self._count(batch)
            self._journal.acknowledge(batch[-1])
            self._after()

    def retry(self) -> None:
        """Try once more what the store refused; only a tag or a status that nothing later has changed."""
        for written, _ in self._journal.refused():
            entry = _still_meant(written.entry, self._journal.later(written))
            if entry is not None:
                try:
                    self._send([entry])
                except RefusedError:
                    continue
                self._count([written])
            self._journal.accepted(written)
            self._sweep_out(written.entry)

    def clear(self) -> None:
        """Delete what only waited to be sent, now that nothing does."""
        shutil.rmtree(self._journal.folder / OUTBOX, ignore_errors=True)

    def _one(self, written: Written) -> None:
        try:
            self._send([written.entry])
        except RefusedError as error:
            logger.warning("the tracking store refused %s: %s", _described(written.entry), error)
            self._journal.acknowledge(written, refused=str(error))
        else:
            self._count([written])
            self._journal.acknowledge(written)
            self._sweep_out(written.entry)
        self._after()

    def _send(self, entries: Sequence[Entry]) -> None:
        self._before(entries[0])
        uri = self._store.send(self._journal.run_id, entries, self._journal.folder)
        self.model_uri = uri or self.model_uri

    def _count(self, batch: Sequence[Written]) -> None:
        kind = batch[0].entry.kind
        self.sent[kind] = self.sent.get(kind, 0) + len(batch)

    def _sweep_out(self, entry: Entry) -> None:
        """Delete what was only kept to be sent."""
        path = sent_path(entry, self._journal.folder)
        if path is not None and path.parent == self._journal.folder / OUTBOX:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def sent_path(entry: Entry, folder: Path) -> Path | None:
    """Return the file or folder that an entry names, None for other entries."""
    return folder / entry.data["path"] if entry.kind in (FILES, MODEL) else None


def _described(entry: Entry) -> str:
    return f"{entry.kind} {entry.data['path']}" if entry.kind in (FILES, MODEL) else entry.kind


def _still_meant(entry: Entry, later: Sequence[Entry]) -> Entry | None:
    """Leave out what later entries have changed."""
    if entry.kind == STATUS:
        return None if any(other.kind == STATUS for other in later) else entry
    if entry.kind == TAGS:
        changed = {key for other in later if other.kind == TAGS for key in other.data["tags"]}
        tags = {key: value for key, value in entry.data["tags"].items() if key not in changed}
        return replace(entry, data={"tags": tags}) if tags else None
    return entry
