"""What runs the trials of a study, as the sweep sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Ended:
    """A job that is over.

    A trial tells its own result to the study. What stands here matters only where it did not: it was killed, or failed
    before it knew its study.

    Attributes:
        number: of its trial, in the study.
        ok: whether it ended without an error; a pruned trial did.
        error: why not, in one line or a few: "killed by signal 9 ...".
        killed: whether it was ended from outside (a signal, a lost machine): trying again makes sense. False for an
            error of its own, which would happen again.
    """

    number: int
    ok: bool
    error: str | None = None
    killed: bool = False


class Jobs(Protocol):
    """Runs trials, `slots` at once: processes of this machine, or any launcher of Hydra's.

    All methods are called from the main thread. None of them waits, but `poll`, and `close` for what it owns.
    """

    @property
    def slots(self) -> int:
        """How many jobs can run at once."""
        ...

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start the job of the trial `number`, with the command line `overrides`; one of the slots is free."""
        ...

    def poll(self, seconds: float) -> list[Ended]:
        """Wait until at least one job is over, at most so long, and return those that are, each once."""
        ...

    def stop(self) -> None:
        """Ask all running jobs to end: SIGTERM, so that each writes a checkpoint. Does not wait for them."""
        ...

    def log(self, number: int) -> str | None:
        """Where what the job printed can be read; None where nobody knows."""
        ...

    def close(self) -> None:
        """Start no further job, and leave the running ones to themselves where they can live without this process."""
        ...
