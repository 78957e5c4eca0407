"""Read a study without working on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medexp.errors import SweepError
from medexp.sweep.records import Record
from medexp.sweep.retrain import retrain_command
from medexp.types import Mode, Objective

ABOUT = "about"  # attribute of the study: what its readers must know
JOURNAL = "study.journal"


@dataclass(frozen=True)
class StoredStudy:
    """A study as it is in its storage now.

    Args:
        name: of the study.
        records: of all trials.
        objectives: of the study; empty where it does not say.
        fixed: what all trials have on the command line.
        parent: the id of its parent run, where it has one.
    """

    name: str
    records: tuple[Record, ...]
    objectives: tuple[Objective, ...]
    fixed: tuple[str, ...]
    parent: str | None

    def command(self, record: Record) -> str:
        """The command that trains a trial alone."""
        return retrain_command(self.fixed, record.overrides)


def about(objectives: Sequence[Objective], fixed: Sequence[str], *, max_retry: int) -> dict[str, object]:
    """Return what is stored under `ABOUT`; passwords must not be in it."""
    pairs = [[objective.metric, objective.mode] for objective in objectives]
    return {"objectives": pairs, "fixed": list(fixed), "max_retry": max_retry}


def read_study(storage: str, name: str) -> StoredStudy:
    """Return a study as it is now; it may be running.

    Args:
        storage: path of a journal file, or URL of a database.
        name: of the study.

    Raises:
        SweepError: the storage cannot be read, or has no such study.
    """
    from medexp.sweep.attempt_store import AttemptStore
    from medexp.sweep.recorded import record_of
    from medexp.sweep.storage import open_storage, storage_errors

    opened = open_storage(storage, create=False)
    with storage_errors(storage):
        try:
            number = opened.get_study_id_from_name(name)
        except KeyError:
            raise SweepError(f"There is no such study. Received: {name}, in {storage}") from None
        attributes = opened.get_study_user_attrs(number)
        known = attributes.get(ABOUT) or {"objectives": [], "fixed": [], "max_retry": 0}
        trials = AttemptStore(opened, number).attempts()
        records = tuple(record_of(trial, max_retry=known["max_retry"]) for trial in trials)
    return StoredStudy(
        name=name,
        records=records,
        objectives=tuple(Objective(metric, _mode(mode)) for metric, mode in known["objectives"]),
        fixed=tuple(known["fixed"]),
        parent=attributes.get("parent"),
    )


def studies_of(outputs: Path) -> tuple[str, ...]:
    """Return the names of studies that are kept below `outputs`, the latest first."""
    journals = sorted((outputs / "sweeps").glob(f"*/{JOURNAL}"), key=lambda path: -path.stat().st_mtime)
    return tuple(path.parent.name for path in journals)


def _mode(text: str) -> Mode:
    return "min" if text == "min" else "max"
