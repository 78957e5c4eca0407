"""What a launcher carries to another process: the job of one trial, and what it needs there."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.errors import CompactHydraException

from medexp.tracking.killable import killable


class TrialStoppedError(Exception):
    """The job was ended from outside, by a signal; beginning it again makes sense."""


@dataclass(frozen=True)
class TrialTask:
    """Hydra's task function, wrapped for a process that knows nothing of the sweeper. It is pickled.

    - What it prints goes to a file of its trial, whoever started the process.
    - SIGTERM unwinds it, however it came: submitit ignores SIGTERM, and answers SLURM's warning of a time limit or a
      preemption by queueing the same job again. Here that warning is a SIGTERM: the training writes its checkpoint,
      and the study begins the trial again, from there, as a job of its own.
    - An end by a signal comes back as a `TrialStoppedError`: launchers wait long for the result of a process that has
      none.

    Attributes:
        function: the task function.
        log: file that gets what the job prints.
        process: file that says, while the job runs, which process of which host that is.
        environment: variables that the process does not inherit.
    """

    function: Callable[[Any], Any]
    log: Path
    process: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, config: Any) -> Any:
        """Run the job.

        Raises:
            TrialStoppedError: a signal ended it.
            RuntimeError: it left with an exit status.
        """
        os.environ.update(self.environment)
        try:
            with output_to(self.log), announced(self.process), killable(), warnings_are_sigterm():
                return self._run(config)
        except KeyboardInterrupt:
            raise TrialStoppedError("stopped by SIGINT") from None
        except SystemExit as ending:
            code = ending.code
            if isinstance(code, int) and code > 128:
                raise TrialStoppedError(f"stopped by {_signal_name(code - 128)}") from None
            if code in (None, 0):
                return None
            raise RuntimeError(f"left with exit status {code}") from None

    def _run(self, config: Any) -> Any:
        try:
            return self.function(config)
        except CompactHydraException:  # its text is in the log
            raise
        except Exception:  # Hydra carries it to the sweeper, without where it came from
            traceback.print_exc()
            raise


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Let all that this process and its children print go to the end of `log`, while it lasts."""
    log.parent.mkdir(parents=True, exist_ok=True)
    _flush()
    before = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    try:
        with log.open("ab") as file:
            for descriptor in before:
                os.dup2(file.fileno(), descriptor)
        yield
    finally:
        _flush()
        for descriptor, copy in before.items():
            os.dup2(copy, descriptor)
            os.close(copy)


@contextmanager
def announced(file: Path) -> Iterator[None]:
    """Say in `file` which process this is, while it lasts."""
    file.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def warnings_are_sigterm() -> Iterator[None]:
    """Turn the signals by which a launcher warns of a job's end (SIGUSR1, SIGUSR2) into SIGTERM, while it lasts."""
    heeded = [number for number in (signal.SIGUSR1, signal.SIGUSR2) if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, _terminate) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
