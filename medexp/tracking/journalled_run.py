"""An open run: whatever it is given goes to its journal, and from there to the store."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medexp.tracking.delivery import OUTBOX
from medexp.tracking.entry import DATA, FILES, METRICS, MODEL, PARAMS, STATUS, TAGS, Entry
from medexp.tracking.journal import OPEN, Journal
from medexp.tracking.sender import Sender
from medexp.tracking.store import redacted
from medexp.types import DataSpec

logger = logging.getLogger(__name__)
_LONGEST_PARAM = 6000


class JournalledRun:
    """See `medexp.tracking.base.Run`. Passwords in URLs are left out of all that it writes.

    Args:
        journal: its own.
        sender: of that journal.
        where: names the store for a person; None where nothing is recorded.
    """

    def __init__(self, journal: Journal, sender: Sender, *, where: str | None) -> None:
        self.id = journal.run_id
        self.folder = journal.folder
        self._journal = journal
        self._sender = sender
        self._where = where
        self._said = False

    @property
    def outbox(self) -> Path:
        return self.folder / OUTBOX

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; very long values are cut (config.yaml is whole), and none is written over."""
        texts = {key: str(redacted(value))[:_LONGEST_PARAM] for key, value in params.items()}
        known = self._journal.params
        if changed := [f"{key}={text}" for key, text in texts.items() if known.get(key, text) != text]:
            logger.warning("the store keeps the parameters that the run began with; now it has %s", ", ".join(changed))
        if new := {key: text for key, text in texts.items() if key not in known}:
            self._write(Entry(PARAMS, {"params": new}))

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Record tags; later ones replace those before."""
        if tags:
            self._write(Entry(TAGS, {"tags": {key: str(redacted(value)) for key, value in tags.items()}}))

    def log_metrics(self, metrics: Mapping[str, float], *, step: int, durable: bool = True) -> None:
        """Record the metrics of one step, those that the run does not have yet.

        What is not a finite number stays in the journal: SQL stores would alter it.

        Args:
            metrics: numbers by name.
            step: the epoch, from 1; 0 for the whole run.
            durable: whether they are on the disk, not only with the system, when the call returns.
        """
        new = {
            key: float(value) if math.isfinite(value) else str(float(value))
            for key, value in metrics.items()
            if step not in self._journal.steps(key)
        }
        if new:
            self._write(Entry(METRICS, {"step": step, "metrics": new}), durable=durable)

    def log_data(self, data: DataSpec) -> None:
        """Record source, digests of data and split, classes, and counts per class and split as an MLflow input."""
        facts = {
            "task": data.task,
            "classes": data.class_names,
            "positive": data.positive,
            "input": data.input.shape,
            "synthetic": data.synthetic,
            "split": data.split,
        }
        entry = {
            "name": data.name,
            "digest": data.digest,
            "source": json.dumps({"uri": redacted(data.source)}),
            "schema": json.dumps(facts),
            "profile": json.dumps({"counts": data.counts}, default=dict),
        }
        self._write(Entry(DATA, entry))

    def log_files(self, path: Path, folder: str = "") -> None:
        """Copy a file, or what a folder holds, to the artifacts below `folder`."""
        self._write(Entry(FILES, {"path": self._named(path), "folder": folder}))

    def log_model(self, path: Path, *, params: Mapping[str, Any], metrics: Mapping[str, float]) -> str | None:
        """Copy a model's folder into the one LoggedModel of this run; return `models:/<model id>` if it was sent."""
        times = {key: steps[0] for key in metrics if 0 in (steps := self._journal.steps(key))}  # not a second point
        entry = {
            "path": self._named(path),
            "params": {key: str(redacted(value)) for key, value in params.items()},
            "metrics": {key: float(value) for key, value in metrics.items() if math.isfinite(value)},
            "times": times,
        }
        self._write(Entry(MODEL, entry))
        self._sender.drain()
        return self._sender.model_uri

    def abandon(self) -> None:
        """Write that it was killed, and try for a second to send that: the process is about to end itself."""
        if self._journal.status in OPEN:
            self._journal.append(Entry(STATUS, {"status": "KILLED"}))
        self._sender.drain(patience=1.0)

    def drain(self, *, patience: float | None = None) -> bool:
        """Wait until all is sent; log once what cannot be, and how to send it later."""
        done = self._sender.drain(patience=patience)
        if not done and not self._said:
            self._said = True
            logger.warning(
                "%d entries of run %s are not in the tracking store yet (%s); they are kept in its folder. Send them: "
                "python scripts/sync.py run=%s tracking.uri=%s",
                self._journal.left(),
                self.id,
                self._sender.outage or "it is slow, or refused them",
                self.folder,
                self._where,
            )
        return done

    def _write(self, entry: Entry, *, durable: bool = True) -> None:
        self._journal.append(entry, durable=durable)
        self._sender.wake()

    def _named(self, path: Path) -> str:
        """Name a file from the run's folder, which may be moved; an absolute path for one that is elsewhere."""
        absolute, folder = path.absolute(), self.folder.absolute()
        return str(absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute)
