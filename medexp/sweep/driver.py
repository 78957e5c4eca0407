"""Keep the slots of a machine busy with a study's trials, until there are none left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from medexp.errors import MedexpError
from medexp.sweep.interrupts import Interrupts, interrupts
from medexp.sweep.jobs import Ended, Jobs
from medexp.sweep.outcome import Limits, Outcome
from medexp.sweep.patience import Patience
from medexp.sweep.records import Order, Record
from medexp.sweep.study_progress import StudyProgress

if TYPE_CHECKING:
    from medexp.sweep.study import SharedStudy

logger = logging.getLogger(__name__)

_TURN = 0.5  # seconds until a Ctrl-C, or the end of a trial elsewhere, is noticed
_ASK = 2.0  # seconds between two questions for a trial, while there is none
_REAP = 10.0  # seconds between two searches for trials that were killed
_SHOW = 2.0  # seconds between two looks at all trials while none of ours ends
_SHARE = 0.05  # of the time that looking may take, at most
_AWAY = 600.0  # seconds without the storage that are too long, once nothing runs here
_LEAVE = 4.0  # seconds for stopped jobs to end: a signal ends this process after 7.5 s at the latest ...
_LEAVE_SOON = 1.0  # ... and a second Ctrl-C after 3 s


def drive(
    study: SharedStudy,
    jobs: Jobs,
    *,
    arguments: Callable[[Order], Sequence[str]],
    limits: Limits,
    progress: StudyProgress,
) -> Outcome:
    """Run trials of `study` until it has all of them, whoever ran them, or a limit is reached.

    As soon as a slot is free the next trial is asked for: no trial waits for another one. Where none is left to begin
    and others still run elsewhere, it waits for those: one that was killed is begun again here.

    A job tells its result to the study. Here it is seen to that one that could not is no loss: if it was killed, its
    trial is begun again; if it failed, it is told as failed.

    Ctrl-C once: no further trial is begun, and those that run are finished. Ctrl-C twice, SIGTERM (where something
    makes it raise SystemExit), and every error: the jobs are sent SIGTERM, so that they write a checkpoint; what was
    raised is raised again soon after.

    A storage that is away for some minutes delays the next trials, not those that run.

    Args:
        study: asked for trials, from this thread alone.
        jobs: runs them; it is not closed.
        arguments: returns the command line of the job of a trial. A MedexpError fails this trial alone.
        limits: when to give up.
        progress: is entered, and told everything.

    Raises:
        SweepError: the storage is away for too long, or the study has become another one.
        TrainingError: no job can be started.
        KeyboardInterrupt: after a second Ctrl-C.
    """
    with interrupts() as noted, progress:
        driver = _Driver(study, jobs, arguments, limits, progress, noted)
        try:
            return driver.run()
        except BaseException as error:
            driver.stop(_LEAVE_SOON if isinstance(error, KeyboardInterrupt) else _LEAVE)
            raise


class _Driver:
    def __init__(
        self,
        study: SharedStudy,
        jobs: Jobs,
        arguments: Callable[[Order], Sequence[str]],
        limits: Limits,
        progress: StudyProgress,
        noted: Interrupts,
    ) -> None:
        self._study, self._jobs, self._arguments = study, jobs, arguments
        self._limits, self._progress, self._noted = limits, progress, noted
        self._patience = Patience(seconds=_AWAY)
        self._start = time.monotonic()
        self._running: dict[int, Order] = {}
        self._over: list[Ended] = []  # and the study does not know it yet
        self._records: tuple[Record, ...] = ()
        self._before: frozenset[int] = frozenset()  # trials that had ended before
        self._orphans = 0  # jobs of this machine that a killed sweep has left; each takes up a slot
        self._next_ask = self._next_reap = self._next_look = self._next_show = 0.0
        self._waits = False
        self._outcome: Outcome | None = None  # decided, while the last jobs run

    def run(self) -> Outcome:
        self._records = self._study.records()
        self._before = frozenset(record.index for record in self._records if record.ended)
        self._look()
        while True:
            self._settle()
            self._decide()
            in_vain = self._outcome is None and self._fill()
            if not self._running:
                if self._outcome is not None or (in_vain and self._finished()):
                    break
                self._patience.check()
            self._turn()
        self._look()
        return Outcome("done") if self._outcome is None or self._left == 0 else self._outcome

    def stop(self, seconds: float) -> None:
        """Send the jobs SIGTERM, and hear at most so long how they end; nothing is raised."""
        with suppress(Exception):
            self._jobs.stop()
            limit = time.monotonic() + seconds
            while self._running and (rest := limit - time.monotonic()) > 0:
                for ended in self._jobs.poll(min(rest, _TURN)):
                    self._running.pop(ended.number, None)

    def _decide(self) -> None:
        """Find out whether no further trial is to be begun."""
        if self._outcome is not None:
            return
        ended = [record for record in self._records if record.ended and record.index not in self._before]
        failed = sum(record.state == "failed" for record in ended)
        limits = self._limits
        if self._noted.once:
            self._outcome = Outcome("interrupted", "Ctrl-C. The same command goes on with the study")
            finished = f"{len(self._running)} that run are finished; Ctrl-C again stops them" if self._running else ""
            logger.warning("Ctrl-C: no further trial is begun. %s", finished)
        elif not self._to_begin:
            return
        elif failed >= limits.min_failures and failed / len(ended) >= limits.max_failure_rate:
            self._outcome = Outcome(
                "failures",
                f"{failed} of {len(ended)} trials have failed. Mend what they say, and give the same command again. "
                f"To go on whatever fails, override: search.min_failures={max(self._study.plan.n_trials, failed + 1)}",
            )
            logger.warning("%s", self._outcome.reason)
        elif limits.timeout is not None and time.monotonic() - self._start >= limits.timeout:
            reason = f"The time is over (search.timeout={limits.timeout:g} s). The same command goes on with the study"
            self._outcome = Outcome("timeout", reason)
            logger.warning("%s", reason)

    @property
    def _left(self) -> int:
        """Trials that have not ended, when they were looked at last."""
        n_trials = self._study.plan.n_trials
        return n_trials - sum(record.ended and record.index < n_trials for record in self._records)

    @property
    def _to_begin(self) -> int:
        """Trials that nobody runs, when they were looked at last."""
        return self._left - sum(record.state == "running" for record in self._records)

    def _fill(self) -> bool:
        """Begin a trial in each slot that is free; return whether one was asked for in vain."""
        slots = self._jobs.slots - self._orphans
        while len(self._running) < slots and time.monotonic() >= self._next_ask and not self._noted.once:
            order = self._patience.ask(self._study.ask, otherwise=None)
            if order is None:
                self._next_ask = time.monotonic() + _ASK
                return True
            self._waits = False
            self._running[order.number] = order
            try:
                overrides = self._arguments(order)
            except MedexpError as error:
                self._over.append(Ended(order.number, ok=False, error=str(error)))
                self._settle()
                continue
            self._jobs.start(order.number, overrides)
            self._progress.started(order)
            self._next_show = self._next_look
        return False

    def _turn(self) -> None:
        """Wait for the end of a job, or for a while."""
        if self._running and not self._over:
            self._over += self._jobs.poll(_TURN)
        else:
            time.sleep(_TURN)
        now = time.monotonic()
        if now >= self._next_reap:
            self._next_reap = now + _REAP
            if self._patience.ask(self._study.reap, otherwise=0):
                self._next_ask = 0.0
        if now >= self._next_show:
            self._look()

    def _settle(self) -> None:
        """Tell the study of jobs that are over; those that told it themselves have done so already."""
        if not self._over:
            return
        failed = not all(ended.ok for ended in self._over)  # perhaps one too many: to be known before another begins
        for ended in list(self._over):
            if not self._patience.ask(partial(self._tell, ended), otherwise=False):
                return
            self._over.remove(ended)
            order = self._running.pop(ended.number)
            if ended.killed:
                self._progress.lost(order, ended.error or "nobody knows why")
                self._next_reap = 0.0  # it may have been killed once too often
        self._next_ask = 0.0
        if failed or time.monotonic() >= self._next_look:
            self._look()

    def _tell(self, ended: Ended) -> bool:
        error = "its process ended without telling a result" if ended.ok else ended.error
        self._study.ended(ended.number, error=error, killed=ended.killed)
        return True

    def _finished(self) -> bool:
        """Whether the study has all its trials; otherwise others run some."""
        left = self._patience.ask(self._study.unfinished, otherwise=None)
        if left and not self._waits:
            self._waits = True
            logger.info("%d trials run elsewhere, or were killed there: they are waited for", left)
        return left == 0

    def _look(self) -> None:
        """Read all trials, and show how far they are."""
        start = time.monotonic()
        self._records = self._patience.ask(self._study.records, otherwise=self._records)
        orphans = self._patience.ask(self._study.orphans, otherwise=self._orphans)
        if orphans > self._orphans:
            logger.info("%d trials that were begun before still run here: their slots are left to them", orphans)
        self._orphans = orphans
        self._progress.update(self._records)
        end = time.monotonic()
        self._next_look = end + (end - start) / _SHARE
        self._next_show = max(self._next_look, end + _SHOW)
