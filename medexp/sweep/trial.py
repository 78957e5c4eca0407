"""The trial as the job that runs it sees it; a null object outside studies, so that training never branches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from medexp.sweep.attached import StudyTrial


class Trial(Protocol):
    """A trial of a study while its job runs: hears the objective, says whether to stop, is told the result once.

    No method raises because the storage cannot be reached: a training is worth more than a report.
    """

    @property
    def number(self) -> int | None:
        """Of the attempt in the study's storage; None outside studies."""

    @property
    def over(self) -> bool:
        """Whether somebody else ended this trial: the job was thought dead. What it finds then counts nowhere."""

    @property
    def resume_from(self) -> Path | None:
        """The run folder of an earlier attempt that was killed, where it is on this machine."""

    def began(self, run_id: str, run_dir: Path) -> None:
        """Remember the run, so that a later attempt can go on with it."""

    def report(self, value: float, *, step: int) -> None:
        """Store the objective at an epoch (or fold), counted from 0. Several objectives: nothing is stored."""

    def should_prune(self) -> bool:
        """Whether the trial is hopeless by what was reported, or over."""

    def trained(self, epochs: int) -> None:
        """Remember how many epochs were trained."""

    def complete(self, values: Sequence[float]) -> None:
        """Tell the result: a value for each objective."""

    def prune(self) -> None:
        """Tell that it was stopped because it was hopeless."""

    def fail(self, reason: str) -> None:
        """Tell that it failed for good; it is not begun again."""

    def release(self) -> None:
        """Tell that it was interrupted; it is begun again at once by whoever asks next."""


class NullTrial:
    """No study: stops nothing, stores nothing."""

    number: int | None = None
    over = False
    resume_from: Path | None = None

    def began(self, run_id: str, run_dir: Path) -> None:
        """Do nothing."""

    def report(self, value: float, *, step: int) -> None:
        """Do nothing."""

    def should_prune(self) -> bool:
        """Return False."""
        return False

    def trained(self, epochs: int) -> None:
        """Do nothing."""

    def complete(self, values: Sequence[float]) -> None:
        """Do nothing."""

    def prune(self) -> None:
        """Do nothing."""

    def fail(self, reason: str) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


def attach(storage: str, study: str, number: int) -> StudyTrial:
    """Return attempt `number` of `study`, whose job this process is from now on: a context manager.

    Args:
        storage: path of the journal file or URL of the database.
        study: its name.
        number: of the attempt.

    Raises:
        SweepError: the storage fails, there is no such attempt, or it has ended: it is not to be run.
    """
    from medexp.sweep.attached import attach as attach_now  # Optuna: not for those who only train

    return attach_now(storage, study, number)
