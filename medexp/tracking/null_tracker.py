"""A tracker without a store (`logger=none`): runs have their folder and its journal only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from medexp.tracking.base import Child
from medexp.tracking.entry import Entry
from medexp.tracking.journalled_run import JournalledRun
from medexp.tracking.recording import adopt_run, resume_run, start_run
from medexp.types import Objective


class NullTracker:
    """Gives each run an id, so that its folder has a name."""

    def start(
        self, name: str, *, below: Path, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[JournalledRun]:
        """Open a new run in the folder `below`/<a new id>."""
        return start_run(NullStore(), uuid.uuid4().hex, below=below, monitor_every=None)

    def resume(self, folder: Path) -> AbstractContextManager[JournalledRun]:
        """Open the run in `folder` again (TrackingError: it cannot be)."""
        return resume_run(NullStore(), folder, monitor_every=None)

    def adopt(self, run_id: str, *, below: Path) -> AbstractContextManager[JournalledRun]:
        """Open the run of another process in `below`/<run id> (LiveError: that one works on it here)."""
        return adopt_run(NullStore(), run_id, below=below, monitor_every=None)

    def children(self, parent: str, *, best: Objective | None = None, most: int | None = None) -> tuple[Child, ...]:
        """None are remembered."""
        return ()

    def runs(self, run_ids: Sequence[str]) -> tuple[Child, ...]:
        """None are remembered."""
        return ()

    def tagged(self, key: str, value: str) -> str | None:
        """None is remembered."""
        return None

    def where(self, run_id: str) -> str:
        """Say that it is in its folder only."""
        return "not recorded (logger=none): promote.py cannot see this run"


class NullStore:
    """Takes everything and keeps nothing."""

    uri = None

    def status(self, run_id: str) -> str:
        """Whatever the journal says."""
        return "RUNNING"

    def recorded(self, run_id: str) -> Sequence[Entry]:
        """Nothing."""
        return ()

    def send(self, run_id: str, entries: Sequence[Entry], folder: Path) -> str | None:
        """Forget."""
        return None
