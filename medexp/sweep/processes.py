"""Trials in processes of this machine, each in a fresh one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medexp.errors import TrainingError
from medexp.sweep.jobs import Ended
from medexp.sweep.killed import memory_kills, was_killed, why_ended
from medexp.sweep.nursery import Nursery
from medexp.sweep.shares import shares
from medexp.sweep.wire import Birth, Born, Failed, Gone, Message, NurseryLost, Started, Unborn

_LOOK_SECONDS = 1.0  # how often somebody looks whether the keeper is still there
_GIVEN_UP = (
    "The process that starts trials is killed again and again while it imports the frameworks ({why}). "
    "Free memory, and give the same command again: it goes on with the study"
)
_NO_KEEPER = (
    "The process that looks after the trials was killed. Give the same command again: it goes on with the study"
)


@dataclass
class _Running:
    slot: int
    memory_kills: int
    pid: int | None = None
    started: bool = False
    reason: str | None = None


class LocalProcesses:
    """Runs trials as processes of this machine (see `Jobs`), made by a nursery.

    With several slots each has its share of the cores and of the GPUs. What a trial prints is in
    `<logs>/<its number>.log`. A trial is in a session of its own: Ctrl-C in the terminal does not reach it, and the end
    of this process, whatever it is, does not end it.

    Args:
        nursery: makes the processes; it is closed with this.
        slots: trials at once.
        logs: the folder of their logs.
        environment: variables for each trial, beside those of this process.
    """

    def __init__(
        self, nursery: Nursery, *, slots: int, logs: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._nursery, self._logs, self._environment = nursery, logs, dict(environment or {})
        self._shares = shares(slots, cores=sorted(os.sched_getaffinity(0)), environment=os.environ)
        self._running: dict[int, _Running] = {}
        self._ended: list[Ended] = []
        self._given_up: str | None = None
        self._stopping = False

    @property
    def slots(self) -> int:
        """How many trials run at once."""
        return len(self._shares)

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start the process of the trial `number`.

        Raises:
            TrainingError: no process can be started any more.
        """
        if self._given_up is not None or not self._nursery.kept:
            raise TrainingError(self._given_up or _NO_KEEPER)
        taken = {running.slot for running in self._running.values()}
        slot = next(slot for slot in range(self.slots) if slot not in taken)
        share = self._shares[slot]
        self._running[number] = _Running(slot, memory_kills())
        self._nursery.bear(
            Birth(number, tuple(overrides), self._log(number), share.cores, {**self._environment, **share.environment})
        )

    def poll(self, seconds: float) -> list[Ended]:
        """Wait until at least one trial's process is over, at most so long; return those that are.

        Raises:
            TrainingError: nobody knows any more which are.
        """
        limit = time.monotonic() + seconds
        self._hear(0.0)
        while not self._ended and (rest := limit - time.monotonic()) > 0:
            self._check()
            self._hear(min(rest, _LOOK_SECONDS))
        ended, self._ended = self._ended, []
        return ended

    def stop(self) -> None:
        """Send SIGTERM to all trials; to one that does not heed it yet, as soon as it does."""
        self._stopping = True
        self._hear(0.0)
        for running in self._running.values():
            if running.started:
                _signal(running.pid, signal.SIGTERM)

    def log(self, number: int) -> str | None:
        """Where the trial's output is."""
        return str(self._log(number))

    def close(self) -> None:
        """Start no further trial. Those that run go on."""
        if self._running:
            self._nursery.close(seconds=0.0)
        else:
            self._nursery.close()

    def _log(self, number: int) -> Path:
        return self._logs / f"{number}.log"

    def _check(self) -> None:
        """Raise, once all was heard that there was to hear, if there will be no more."""
        if not self._nursery.kept:
            self._hear(0.0)
        if not self._ended and (not self._nursery.kept or (self._given_up is not None and not self._running)):
            raise TrainingError(self._given_up or _NO_KEEPER)

    def _hear(self, seconds: float) -> None:
        """Take in all messages that are there; wait for the first one so long."""
        with suppress(EOFError):
            message = self._nursery.hear(seconds)
            while message is not None:
                self._take(message)
                message = self._nursery.hear(0.0)

    def _take(self, message: Message) -> None:
        match message:
            case Born(number, pid) if number in self._running:
                self._running[number].pid = pid
            case Started(number, pid) if number in self._running:
                self._running[number].pid = pid
                self._running[number].started = True
                if self._stopping:
                    _signal(pid, signal.SIGTERM)
            case Born(_, pid) | Started(_, pid):  # it was given up, and is another attempt's by now
                _signal(pid, signal.SIGKILL)
            case Failed(number, reason) if number in self._running:
                self._running[number].reason = reason
            case Unborn(number, reason):
                self._lose(number, f"no process could be made for it: {reason}")
            case Gone(pid, status):
                self._bury(pid, status)
            case NurseryLost(status, given_up):
                why = why_ended(status, out_of_memory=False) or ""
                for number in [number for number, running in self._running.items() if running.pid is None]:
                    self._lose(number, f"the process that was to start it was lost: {why}")
                self._given_up = _GIVEN_UP.format(why=why) if given_up else None

    def _bury(self, pid: int, status: int) -> None:
        number = next((number for number, running in self._running.items() if running.pid == pid), None)
        if number is None:
            return  # an orphan of a trial
        running = self._running.pop(number)
        reason = running.reason or why_ended(status, out_of_memory=memory_kills() > running.memory_kills)
        self._ended.append(Ended(number, ok=status == 0, error=reason, killed=was_killed(status)))

    def _lose(self, number: int, reason: str) -> None:
        if self._running.pop(number, None) is not None:
            self._ended.append(Ended(number, ok=False, error=reason, killed=True))


def _signal(pid: int | None, number: int) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
