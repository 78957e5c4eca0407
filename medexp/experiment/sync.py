"""Send what runs recorded and their tracking store does not have yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.saved import RESULT
from medexp.config.schema_scripts import SyncConfig
from medexp.errors import ConfigError, TrackingError
from medexp.experiment.recorded import LOG
from medexp.experiment.result_file import read_result
from medexp.tracking.base import UnavailableError
from medexp.tracking.delivery import Delivery
from medexp.tracking.entry import FILES, STATUS, Entry
from medexp.tracking.journal import JOURNAL, OPEN, Journal
from medexp.tracking.lock import LiveError, locked

if TYPE_CHECKING:
    from medexp.tracking.mlflow_store import MlflowStore

BELOW = ("runs", "audits", "sweeps")


@dataclass(frozen=True)
class Synced:
    """What became of one run.

    Args:
        run_id: its id; the folder's name where the journal does not say it.
        status: its last one; "live" where a process works on it, "no store" where it was recorded nowhere.
        sent: how many entries of each kind were sent now.
        left: why something could not be sent; empty where nothing is left.
    """

    run_id: str
    status: str
    sent: Mapping[str, int]
    left: str

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not self.sent and not self.left and self.status != "live"


def sync(config: SyncConfig) -> bool:
    """Send what ended runs left in their folders, close those that were killed, and print a table.

    One that was killed when it had its result is finished.

    A run that a process works on sends by itself and is left alone. Repeating it changes nothing. Return whether
    nothing is left.

    Raises:
        TrackingError: the store does not answer, or the one run that was asked for is live.
        ConfigError: there is no such run.
    """
    from medexp.tracking.mlflow_store import MlflowStore

    store = MlflowStore(config.tracking.uri)
    results: list[Synced] = []
    try:
        for folder in _folders(config.paths.outputs, config.run):
            results.append(_sync(folder, store, asked_for=config.run is not None))  # noqa: PERF401  kept if one raises
    finally:
        _print(results, every=config.run is not None)
    return not any(result.left for result in results)


def _folders(outputs: Path, run: str | None) -> list[Path]:
    """The folders that have a journal, or the one of the run that was asked for."""
    if run is not None and "/" in run:
        found = [Path(run).expanduser().absolute()]
    else:
        found = [path for below in BELOW for path in sorted((outputs / below).glob("*")) if run in (None, path.name)]
    found = [path for path in found if (path / JOURNAL).is_file()]
    if run is not None and not found:
        raise ConfigError(
            f"run: there is no such run, or it has no journal. Received: {run}, looked for below {outputs}. "
            "Give its whole id, or the path of its folder"
        )
    return found


def _sync(folder: Path, store: MlflowStore, *, asked_for: bool) -> Synced:
    try:
        with locked(folder):
            journal = Journal(folder)
            try:
                return _sync_journal(journal, store)
            finally:
                journal.close()
    except LiveError:
        if asked_for:
            raise
        return Synced(folder.name, "live", {}, "")
    except OSError as error:
        return Synced(folder.name, "unknown", {}, f"{error.strerror}: {error.filename}")


def _sync_journal(journal: Journal, store: MlflowStore) -> Synced:
    if journal.store is None:
        return Synced(journal.run_id, "no store", {}, "")
    done = journal.status in (*OPEN, "KILLED") and read_result(journal.folder) is not None
    ended = journal.status not in OPEN and not done
    if ended and not journal.left():
        return Synced(journal.run_id, str(journal.status), {}, "")
    try:
        status = store.status(journal.run_id)
    except TrackingError as error:
        if journal.store != store.uri:
            there = f"it was recorded elsewhere: tracking.uri={journal.store}"
            return Synced(journal.run_id, journal.status or "unknown", {}, there)
        if not isinstance(error, UnavailableError):
            raise
        return Synced(journal.run_id, journal.status or "unknown", {}, str(error))
    if done:
        _complete(journal)
    elif not ended:
        journal.append(Entry(STATUS, {"status": "KILLED" if status == "RUNNING" else status}, time=journal.last_time))
    delivery = Delivery(journal, store)
    left = ""
    try:
        delivery.run()
        delivery.retry()
    except UnavailableError as error:
        left = f"{journal.left()} entries: {error}"
    else:
        left = "; ".join(f"{written.entry.kind}: {reason}" for written, reason in journal.refused())
    if not left:
        delivery.clear()
    return Synced(journal.run_id, str(journal.status), delivery.sent, left)


def _complete(journal: Journal) -> None:
    """Close a run that was killed after it had its result, as `scripts/train.py resume=` does."""
    from medexp.training import session

    session.load_backend("tensorflow", native_log=journal.folder / LOG)
    from medexp.training.trainer import clean

    clean(journal.folder)
    for name in (RESULT, LOG):
        journal.append(Entry(FILES, {"path": name, "folder": ""}))
    journal.append(Entry(STATUS, {"status": "FINISHED"}, time=journal.last_time))


def _print(results: Sequence[Synced], *, every: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from medexp.console import wide_console

    console = wide_console()
    shown = [result for result in results if every or not result.idle]
    if shown:
        table = Table(box=SIMPLE_HEAD)
        table.add_column("run", no_wrap=True, min_width=32)
        for title in ("sent", "status", "left"):
            table.add_column(title, overflow="fold")
        for result in shown:
            sent = ", ".join(f"{count} {kind}" for kind, count in result.sent.items())
            table.add_row(result.run_id, sent or "nothing", result.status, result.left or "nothing")
        console.print(table)
    if idle := len(results) - len(shown):
        console.print(f"{idle} run{'s' if idle > 1 else ''} had nothing to send.")
    if not results:
        console.print("There are no runs.")
