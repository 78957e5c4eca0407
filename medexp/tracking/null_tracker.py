"""A tracker that records nothing (`logger=none`)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medexp.tracking.base import Child
from medexp.types import DataSpec


class NullTracker:
    """Gives each run an id, so that its folder has a name, and forgets the rest."""

    @contextmanager
    def start(
        self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[NullRun]:
        """Open a run with a new id."""
        yield NullRun()

    def children(self, parent: str) -> tuple[Child, ...]:
        """None are remembered."""
        return ()

    def where(self, run_id: str) -> str:
        """Say that it is in its folder only."""
        return "not recorded (logger=none): promote.py cannot see this run"


class NullRun:
    """An open run that is recorded nowhere."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Forget."""

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Forget."""

    def log_metrics(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Forget."""

    def log_data(self, data: DataSpec) -> None:
        """Forget."""

    def log_files(self, path: Path, folder: str = "") -> None:
        """Forget."""

    def log_model(self, path: Path, *, params: Mapping[str, Any], metrics: Mapping[str, float]) -> str | None:
        """Forget."""
        return None
