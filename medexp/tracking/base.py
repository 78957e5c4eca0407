"""What the rest of medexp sees of a tracking store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from medexp.errors import TrackingError
from medexp.tracking.entry import Entry
from medexp.types import DataSpec, Objective


class UnavailableError(TrackingError):
    """The store does not answer, or does not have the run, now; what is to be sent waits."""


class RefusedError(TrackingError):
    """The store answers, and does not take this entry; later ones may go on."""


@dataclass(frozen=True)
class Child:
    """One job of a sweep, as the store has it.

    Args:
        run_id: its id.
        name: of the run.
        status: RUNNING, FINISHED, FAILED or KILLED.
        overrides: what distinguishes it on the command line, with blanks between.
        metrics: the last value of each, without what its machine did.
        state: COMPLETE, PRUNED or FAIL, where it is a trial that has told its result; else empty.
        trial: its number in the study; None where it is no trial.
        params: its configuration.
        study: the name of its study; empty where it has none.
    """

    run_id: str
    name: str
    status: str
    overrides: str
    metrics: Mapping[str, float]
    state: str = ""
    trial: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    study: str = ""


@dataclass(frozen=True)
class Sweep:
    """The parent run of a sweep, as the store has it.

    Args:
        run_id: its id.
        name: of the run.
        status: RUNNING, FINISHED, FAILED or KILLED.
        study: the name of its study; empty where it has none.
        params: of the search.
        tags: all of them.
        metrics: the last value of each.
    """

    run_id: str
    name: str
    status: str
    study: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


class Store(Protocol):
    """What a journal is sent to."""

    @property
    def uri(self) -> str | None:
        """Names the store, without its password; None where nothing is recorded."""

    def status(self, run_id: str) -> str:
        """Return RUNNING, FINISHED, FAILED or KILLED.

        Raises:
            TrackingError: the store does not answer, or has no such run (UnavailableError).
        """

    def recorded(self, run_id: str) -> Sequence[Entry]:
        """Return the parameters and metrics that it has of a run, as entries that were sent.

        Raises:
            TrackingError: the store does not answer, or has no such run.
        """

    def send(self, run_id: str, entries: Sequence[Entry], folder: Path) -> str | None:
        """Send one entry, or several of metrics; repeating it changes nothing. Return the URI of a model.

        Raises:
            UnavailableError: try again later.
            RefusedError: the store answers and does not take it.
        """


class Run(Protocol):
    """An open run.

    Everything it is given is on the disk, in its journal, when the call returns, and is sent to the store from
    there by a thread: a store that does not answer neither stops a training nor delays it.
    """

    @property
    def id(self) -> str:
        """Names the run everywhere: folder, log, result.json, MLflow."""

    @property
    def folder(self) -> Path:
        """Where all that it writes goes."""

    @property
    def outbox(self) -> Path:
        """A folder for what only waits to be sent: each thing in it is deleted once it was."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record what was configured; written once per run: a resumed run keeps what it began with."""

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Record what the run is."""

    def log_metrics(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Record numbers of one step (an epoch, from 1); one that this step has already is not written again."""

    def log_data(self, data: DataSpec) -> None:
        """Record the data set as an input."""

    def log_files(self, path: Path, folder: str = "") -> None:
        """Copy a file, or what a folder holds, to the artifacts below `folder`; it must stay where it is."""

    def log_model(self, path: Path, *, params: Mapping[str, Any], metrics: Mapping[str, float]) -> str | None:
        """Copy the folder of a model; return the URI that finds it, None where it is not in a store (yet)."""

    def abandon(self) -> None:
        """Close it as killed, from any thread, because the process is about to end itself."""

    def drain(self, *, patience: float | None = None) -> bool:
        """Wait until all is sent, and log what cannot be; return whether all is.

        Args:
            patience: seconds without progress after which it is given up; None: enough for what is being sent.
        """


class Tracker(Protocol):
    """Opens runs. Leaving the context closes one as finished, failed (an exception) or killed (a signal)."""

    def start(
        self, name: str, *, below: Path, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Run]:
        """Open a new run, its folder `below`/<run id>.

        Raises:
            TrackingError: the store does not answer.
        """

    def resume(self, folder: Path) -> AbstractContextManager[Run]:
        """Open the run in `folder` again, under its id.

        Raises:
            TrackingError: the store does not answer, is another one or does not have the run; the run is finished,
                or another process works on it.
        """

    def adopt(self, run_id: str, *, below: Path) -> AbstractContextManager[Run]:
        """Open the run `run_id`, which another process made, perhaps on another machine: here in `below`/<run id>.

        It may have ended: it is RUNNING again until the context is left.

        Raises:
            LiveError: another process of this machine works on it.
            TrackingError: the store does not answer, or has no such run.
        """

    def children(self, parent: str, *, best: Objective | None = None, most: int | None = None) -> tuple[Child, ...]:
        """The jobs of a sweep in the order they started, or sorted by a metric; at most so many."""

    def runs(self, run_ids: Sequence[str]) -> tuple[Child, ...]:
        """These jobs, in this order; one that the store does not have is left out."""

    def tagged(self, key: str, value: str) -> str | None:
        """The id of the first run with this tag; None where there is none."""

    def where(self, run_id: str) -> str:
        """A sentence that tells a person where to see the run."""
