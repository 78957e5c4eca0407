"""How a training has gone so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medexp.types import FitResult

WEIGHTS, SUFFIX = "weights", ".npz"


@dataclass(frozen=True)
class Kept:
    """An epoch (from 1) whose weights are kept, and its objective."""

    epoch: int
    value: float

    def path(self, folder: Path) -> Path:
        """Where they are, below the folder of the run."""
        return folder / WEIGHTS / f"epoch-{self.epoch:04d}{SUFFIX}"


@dataclass
class Course:
    """History and best epochs of a training; part of every checkpoint.

    Args:
        history: the metrics of each epoch.
        best: the best epochs, the best first.
        seconds: that the process before this one had trained, up to its checkpoint.
        averaged: validation metrics of the average of the best epochs; empty where there is none.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: list[Kept] = field(default_factory=list)
    seconds: float = 0.0
    averaged: dict[str, float] = field(default_factory=dict)

    def result(self, weights: Path, *, seconds: float) -> FitResult:
        """Return it as what a training results in."""
        return FitResult(tuple(self.history), self.best[0].epoch, weights, seconds, dict(self.averaged))

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Course:
        """Return what `facts` made."""
        return cls(
            [dict(row) for row in facts["history"]],
            [Kept(**kept) for kept in facts["best"]],
            facts["seconds"],
            dict(facts["averaged"]),
        )
