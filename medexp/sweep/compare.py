"""What `scripts/compare.py` does."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medexp.console import wide_console
from medexp.errors import ConfigError, MedexpError, TrackingError
from medexp.redact import redact
from medexp.sweep.leaderboard import Leaderboard, print_leaderboard
from medexp.sweep.plan import STORAGE_VARIABLE
from medexp.sweep.stored import JOURNAL, StoredStudy, read_study, studies_of
from medexp.sweep.trial_table import TrialTable
from medexp.tracking.base import Sweep, Tracker
from medexp.tracking.mlflow_tracker import MlflowTracker
from medexp.tracking.sweeps import find_sweep, latest_sweeps
from medexp.types import Objective

logger = logging.getLogger(__name__)
_MOST = 1000  # runs that are read
_STATES = ("complete", "pruned", "failed")


@dataclass(frozen=True)
class Found:
    """A sweep in the store and its study in its storage; one of the two may be missing."""

    sweep: Sweep | None
    study: StoredStudy | None

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.study is not None:
            return self.study.name
        return (self.sweep.study or self.sweep.name) if self.sweep is not None else ""


def compare(
    *,
    uri: str,
    experiment: str,
    outputs: Path,
    sweep: str | None,
    storage: str | None,
    objective: Objective | None,
    top: int,
    elsewhere: Sequence[str] = (),
    found: Found | None = None,
) -> Leaderboard:
    """Print the trials of a sweep, the best first; it may be running. Return all of them.

    What the study's storage says of its trials counts; the store adds the metrics of their runs. Where the storage is
    not here, the runs alone are compared.

    Args:
        uri: of the tracking store.
        experiment: whose sweeps.
        outputs: where studies are looked for.
        sweep: id of the parent run, or name of the study, or the beginning of either; None: the latest.
        storage: of the study; None: as the sweep recorded it.
        objective: sorts by another metric of the runs; None: as the sweep does.
        top: how many are shown.
        elsewhere: the overrides that put outputs and store at another place than the default.
        found: the sweep, where it was looked for before.

    Raises:
        MedexpError: there is no such sweep (lists the latest), or nothing says what it is sorted by.
    """
    place = found or find_compared(uri=uri, experiment=experiment, outputs=outputs, sweep=sweep, storage=storage)
    parent, study = place.sweep, place.study
    tracker = MlflowTracker(uri=uri, experiment=experiment, artifacts=str(outputs))
    objectives = (objective,) if objective is not None else _objectives(parent, study)
    if study is not None and objective is None:
        board = Leaderboard.of_records(study.records, objectives)
        shown = [row.run_id for row in board.rows[: min(top, _MOST)] if row.run_id]
        if parent is not None:
            board = board.with_metrics(tracker.runs(shown))
    elif parent is not None:
        board = _of_runs(tracker, parent, objectives, top=top)
    else:
        raise ConfigError("metric: only runs have other metrics, and none is recorded (logger=none). Remove it")
    status = f" ({parent.status})" if parent is not None else ""
    print_leaderboard(board, top=top, title=f"{place.name}{status}", hints=_hints(parent, study, objectives, elsewhere))
    if study is None and parent is not None and parent.study:
        wide_console().print("  The study's own storage was not read: pruned and waiting trials are as their runs say.")
    return board


def find_compared(*, uri: str, experiment: str, outputs: Path, sweep: str | None, storage: str | None) -> Found:
    """Return the sweep that `compare` shows, with its arguments.

    Raises:
        MedexpError: there is no such sweep (lists the latest).
    """
    named = sweep
    here = studies_of(outputs)
    try:
        sweeps = latest_sweeps(uri, experiment)
    except TrackingError:
        if not here:
            raise
        sweeps = ()
    try:
        found = _latest(sweeps, uri) if named is None else find_sweep(named, sweeps, uri=uri)
    except TrackingError:
        local = [name for name in here if named is None or name == named or name.startswith(named)]
        exact = local[:1] if named is None else [name for name in local if name == named] or local
        if len(exact) != 1:
            raise
        return Found(None, read_study(storage or str(outputs / "sweeps" / exact[0] / JOURNAL), exact[0]))
    return Found(found, _study_of(found, outputs, storage))


def _latest(sweeps: Sequence[Sweep], uri: str) -> Sweep:
    if not sweeps:
        return find_sweep("", sweeps, uri=uri)
    return sweeps[0]


def _study_of(found: Sweep, outputs: Path, storage: str | None) -> StoredStudy | None:
    """The study of a sweep; None where its storage cannot be reached from here."""
    if not found.study:
        return None
    recorded, secret = found.tags.get("medexp.storage", ""), os.environ.get(STORAGE_VARIABLE, "")
    usual = str(outputs / "sweeps" / found.study / JOURNAL)
    candidates = [storage] if storage else [secret if redact(secret) == recorded else recorded, usual]
    reasons = []
    for candidate in dict.fromkeys(text for text in candidates if text):
        if redact(candidate) == candidate and "***" in candidate:
            reasons.append(f"the password of {candidate} is not recorded. Override: storage=...")
            continue
        try:
            return read_study(candidate, found.study)
        except MedexpError as error:
            reasons.append(str(error))
    reason = reasons[0] if reasons else "nobody knows where it is"
    if storage is not None:
        raise ConfigError(f"storage: {reason}")
    logger.warning("the study %s could not be read: %s", found.study, reason)
    return None


def _objectives(found: Sweep | None, study: StoredStudy | None) -> tuple[Objective, ...]:
    if study is not None and study.objectives:
        return study.objectives
    tags: Mapping[str, str] = {} if found is None else found.tags
    metrics = [metric for metric in tags.get("medexp.objective", "").split(",") if metric]
    modes = tags.get("medexp.objective_mode", "").split(",")
    if not metrics or len(modes) != len(metrics):
        raise ConfigError("metric: the sweep does not say what it is sorted by. Override: metric=val_auc mode=max")
    return tuple(
        Objective(metric, "min" if mode == "min" else "max") for metric, mode in zip(metrics, modes, strict=True)
    )


def _of_runs(tracker: Tracker, found: Sweep, objectives: Sequence[Objective], *, top: int) -> Leaderboard:
    """What the runs say: all of them where there are not too many, else the best, and the counts of the parent."""
    best = Objective(f"best_{objectives[0].metric}", objectives[0].mode)
    children = tracker.children(found.run_id, best=best, most=max(_MOST, top))
    ours = [child for child in children if child.study in ("", found.study)]  # not those that trained the best again
    counts = {state: int(found.metrics.get(f"trials_{state}", 0)) for state in _STATES}
    if len(children) < max(_MOST, top) or sum(counts.values()) <= len(ours):
        counts = {}
    return Leaderboard.of_children(ours, objectives, counts or None)


def _hints(
    found: Sweep | None, study: StoredStudy | None, objectives: Sequence[Objective], elsewhere: Sequence[str]
) -> dict[str, str]:
    hints = {}
    command = None if found is None else found.tags.get("medexp.best_command")
    if study is not None and study.objectives:
        best = TrialTable.of(study.records, objectives).best if tuple(objectives) == study.objectives else None
        command = command if best is None else study.command(best)
    if command:
        hints["retrain"] = command
    if found is not None:
        hints["parent"] = found.run_id
        places = map(redact, elsewhere)
        hints["promote"] = shlex.join(["python", "scripts/promote.py", f"sweep={found.run_id}", *places])
    return hints
