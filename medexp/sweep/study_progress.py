"""Say how a study goes: a line that is kept up to date on a terminal, plain lines elsewhere, all of it in the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from medexp.console import bar_console
from medexp.logs import FILE_ONLY, shown_on_console
from medexp.sweep.brief import brief
from medexp.sweep.records import Order, Record
from medexp.sweep.study_text import StudyMoment, ended_line, moment_of, study_line
from medexp.types import Objective

logger = logging.getLogger(__name__)


class StudyProgress:
    """One line for the whole study, and one for each trial that ends, on whatever machine.

    The first is at the bottom of standard error where that is a terminal whose logging level shows information; what is
    said meanwhile comes to stand above it. Elsewhere it follows the line of each trial that ends.

    Enter it once around a sweep.

    Args:
        objectives: of the study.
        n_trials: it is to have.
        slots: trials at once, for the time left.
        log: where the output of a trial's attempt is, by its number; None where nobody knows.
        console: where the line is drawn; None for standard error.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        *,
        n_trials: int,
        slots: int,
        log: Callable[[int], str | None],
        console: Console | None = None,
    ) -> None:
        self._objectives, self._n_trials, self._slots, self._log = tuple(objectives), n_trials, slots, log
        self._console = console or bar_console()
        self._live: Live | None = None
        self._known: set[int] | None = None  # trials whose end was said, or that had ended before
        self._moment = StudyMoment(total=n_trials)

    def __enter__(self) -> StudyProgress:
        if self._console.is_interactive and self._console.file.isatty() and shown_on_console(logger.name, logging.INFO):
            self._live = Live(
                _Line(self),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._try(self._live.start)
            self._try(lambda: self._console.show_cursor(True))  # nothing would bring it back after SIGKILL
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def started(self, order: Order) -> None:
        """A trial begins on this machine."""
        attempt = f" again (attempt {order.attempt})" if order.attempt > 1 else ""
        chosen = brief(order.overrides)
        logger.info("trial %d begins%s%s", order.index, attempt, f": {chosen}" if chosen else "")

    def lost(self, order: Order, reason: str) -> None:
        """The process of a trial that began on this machine was killed."""
        where = self._log(order.number)
        text = f"trial {order.index} was lost: {reason}" + (f"\n  its log: {where}" if where is not None else "")
        logger.warning("%s", text)

    def update(self, records: Sequence[Record]) -> None:
        """Say which trials have ended since the last time; of those that had before the first time, how many."""
        self._moment = moment_of(records, self._objectives, n_trials=self._n_trials, slots=self._slots)
        ended = [record for record in records if record.ended]
        if self._known is None:
            self._known = {record.index for record in ended}
            if ended:
                logger.info("the study goes on: %s", study_line(self._moment))
        for record in ended:
            if record.index not in self._known:
                self._known.add(record.index)
                self._end(record)
        if self._live is not None:
            self._try(self._live.refresh)

    @property
    def moment(self) -> StudyMoment:
        """How far the study was at the last update."""
        return self._moment

    def _end(self, record: Record) -> None:
        line = ended_line(record, self._objectives, log=self._log(record.number))
        whole = study_line(self._moment)
        drawn = FILE_ONLY if self._live is not None else None
        if record.state == "failed":
            logger.warning("%s", line)
            logger.info("%s", whole, extra=drawn)
            return
        logger.info("%s   %s", line, whole, extra=drawn)
        if drawn:
            self._try(lambda: self._console.print(Text(line)))

    def _try(self, draw: Callable[[], object]) -> None:
        try:
            draw()
        except OSError:  # the terminal is gone; the sweep goes on
            self._stop()

    def _stop(self) -> None:
        """Take the line away for good."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError):
                live.stop()


class _Line:
    """Draws the study of this moment."""

    def __init__(self, progress: StudyProgress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(study_line(self._progress.moment, width=options.max_width - 1), end="", no_wrap=True)
