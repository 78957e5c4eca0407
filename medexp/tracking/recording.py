"""From the first to the last line of a run's journal: lock, journal, sender, system metrics."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medexp.errors import TrackingError
from medexp.tracking.base import Store
from medexp.tracking.entry import METRICS, STATUS, Entry
from medexp.tracking.journal import JOURNAL, Journal
from medexp.tracking.journalled_run import JournalledRun
from medexp.tracking.lock import locked
from medexp.tracking.sender import Sender
from medexp.tracking.system_metrics import PREFIX, SystemMetrics

AFTER_SIGNAL = 1.0  # seconds without progress to send the rest: who sent the signal waits, and kills after 10


@contextmanager
def start_run(store: Store, run_id: str, *, below: Path, monitor_every: float | None) -> Iterator[JournalledRun]:
    """Record the new run `run_id` of `store` in the folder `below`/`run_id`.

    Args:
        store: where the run was opened.
        run_id: its id there.
        below: the folder of runs.
        monitor_every: seconds between samples of system metrics; None: no samples.
    """
    folder = below / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        store.send(run_id, [Entry(STATUS, {"status": "FAILED"})], below)
        raise TrackingError(f"The run's folder cannot be made ({error.strerror}). Received: {folder}") from error
    with locked(folder):
        journal = Journal(folder, head={"run_id": run_id, "store": store.uri})
        with _recorded(journal, store, monitor_every=monitor_every) as run:
            yield run


@contextmanager
def resume_run(store: Store, folder: Path, *, monitor_every: float | None) -> Iterator[JournalledRun]:
    """Record more of the run in `folder`.

    Raises:
        TrackingError: see `medexp.tracking.base.Tracker.resume`.
    """
    if not folder.is_dir():
        raise TrackingError(f"There is no such run. Received: resume={folder}")
    with locked(folder):
        journal = Journal(folder)
        try:
            _check(journal, store)
        except BaseException:
            journal.close()
            raise
        journal.append(Entry(STATUS, {"status": "RUNNING"}))
        with _recorded(journal, store, monitor_every=monitor_every) as run:
            yield run


def _has(journal: Journal, entry: Entry) -> bool:
    if entry.kind == METRICS:
        return all(entry.data["step"] in journal.steps(name) for name in entry.data["metrics"])
    return all(key in journal.params for key in entry.data["params"])


def _check_option(journal: Journal, store: Store) -> None:
    if (journal.store is None) != (store.uri is None):
        option = "none" if journal.store is None else "mlflow"
        raise TrackingError(f"Run {journal.run_id} was recorded otherwise. Override: logger={option}")


def _check(journal: Journal, store: Store) -> None:
    _check_option(journal, store)
    if journal.status == "FINISHED":
        raise TrackingError(f"The run is finished, there is nothing to resume. Received: resume={journal.folder}")
    try:
        status = store.status(journal.run_id)
    except TrackingError as error:
        if store.uri == journal.store:
            raise
        raise TrackingError(
            f"{error}. The run was recorded elsewhere. Override: tracking.uri={journal.store}"
        ) from error
    if status == "FINISHED":
        raise TrackingError(f"The run is finished in {store.uri}, there is nothing to resume: {journal.run_id}")


@contextmanager
def adopt_run(store: Store, run_id: str, *, below: Path, monitor_every: float | None) -> Iterator[JournalledRun]:
    """Record more of a run that another process made, in the folder `below`/`run_id` of this machine.

    What the store has and the journal of this machine has not is written to that first: a metric that was recorded
    elsewhere is not recorded again.

    Raises:
        TrackingError: see `medexp.tracking.base.Tracker.adopt`.
    """
    folder = below / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(f"The run's folder cannot be made ({error.strerror}). Received: {folder}") from error
    with locked(folder):
        known = store.recorded(run_id)
        here = (folder / JOURNAL).is_file()
        journal = Journal(folder, head=None if here else {"run_id": run_id, "store": store.uri})
        try:
            _check_option(journal, store)
            for entry in known:
                if not _has(journal, entry):
                    journal.append(entry, durable=False)
            journal.append(Entry(STATUS, {"status": "RUNNING"}))
        except BaseException:
            journal.close()
            raise
        with _recorded(journal, store, monitor_every=monitor_every) as run:
            yield run


@contextmanager
def _recorded(journal: Journal, store: Store, *, monitor_every: float | None) -> Iterator[JournalledRun]:
    sender = Sender(journal, store)
    run = JournalledRun(journal, sender, where=store.uri)
    sender.start()
    sender.wake()
    last = journal.last_step(PREFIX)
    monitor = SystemMetrics(
        lambda metrics, step: run.log_metrics(metrics, step=step, durable=False),
        every=monitor_every,
        first_step=0 if last is None else last + 1,
    )
    monitor.start()
    try:
        try:
            yield run
        finally:
            monitor.stop()
    except Exception:
        _close(journal, run, sender, "FAILED")
        raise
    except BaseException:  # KeyboardInterrupt, SystemExit
        _close(journal, run, sender, "KILLED", patience=AFTER_SIGNAL)
        raise
    _close(journal, run, sender, "FINISHED")


def _close(journal: Journal, run: JournalledRun, sender: Sender, status: str, *, patience: float | None = None) -> None:
    """Write the last line, wait for what can still be sent. It raises nothing: the run's own end is what counts."""
    try:
        journal.append(Entry(STATUS, {"status": status}))
        if run.drain(patience=patience):
            shutil.rmtree(run.outbox, ignore_errors=True)
    finally:
        sender.stop()
        journal.close()
