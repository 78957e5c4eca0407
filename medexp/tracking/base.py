"""What the rest of medexp sees of a tracking store."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medexp.types import DataSpec


@dataclass(frozen=True)
class Child:
    """One finished or failed job of a sweep, as the store has it."""

    run_id: str
    name: str
    status: str
    overrides: str
    metrics: Mapping[str, float]


class Run(Protocol):
    """An open run. Everything it is given is in the store when the call returns (or TrackingError)."""

    @property
    def id(self) -> str:
        """Names the run everywhere: folder, log, result.json, MLflow."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record what was configured; written once per run."""

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Record what the run is."""

    def log_metrics(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Record numbers of one step (an epoch, from 1) in one write."""

    def log_data(self, data: DataSpec) -> None:
        """Record the data set as an input."""

    def log_files(self, path: Path, folder: str = "") -> None:
        """Copy a file, or what a folder holds, to the artifacts below `folder`."""

    def log_model(self, path: Path, *, params: Mapping[str, Any], metrics: Mapping[str, float]) -> str | None:
        """Copy the folder of a model; return the URI that finds it, None where nothing is recorded."""


class Tracker(Protocol):
    """Opens runs."""

    def start(
        self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Run]:
        """Open a run; leaving the context closes it as finished, failed (an exception) or killed (a signal)."""

    def children(self, parent: str) -> tuple[Child, ...]:
        """The jobs of a sweep, in the order they started."""

    def where(self, run_id: str) -> str:
        """A sentence that tells a person where to see the run."""
