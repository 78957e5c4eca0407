"""What a study hands out: a trial to be run, and what became of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["complete", "pruned", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Order:
    """A trial that its receiver is to run.

    Args:
        number: of the attempt in the study's storage (Optuna's), by which the job finds it.
        index: of the trial, from 0; every attempt at a trial has the same one.
        overrides: what the sampler chose, as Hydra overrides.
        resume: the run folder of an earlier attempt that was killed, where it is on this machine.
        attempt: 1, or more after the trial was killed.
    """

    number: int
    index: int
    overrides: tuple[str, ...]
    resume: Path | None = None
    attempt: int = 1


@dataclass(frozen=True)
class Record:
    """What is known of a trial; of several attempts, the last one.

    Args:
        number: of the last attempt in the study's storage.
        index: of the trial, from 0.
        state: `waiting` was killed and will be begun again.
        values: one for each objective; of a pruned trial what it reported last, or nothing.
        params: what the sampler chose: Hydra's text for each key.
        overrides: the same, as Hydra overrides.
        run_id: of its MLflow run; None where it did not get as far.
        error: why it failed.
        seconds: spent on it so far, all attempts together.
        epochs: trained.
        attempts: how often it was begun.
        reports: the objective at each step.
    """

    number: int
    index: int
    state: State
    values: tuple[float, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    run_id: str | None = None
    error: str | None = None
    seconds: float = 0.0
    epochs: int = 0
    attempts: int = 1
    reports: Mapping[int, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether its result is final."""
        return self.state in ("complete", "pruned", "failed")
