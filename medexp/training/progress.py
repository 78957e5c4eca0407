"""Say how a training goes: a bar on a terminal, plain lines elsewhere, all of it in the log."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType

import keras
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from medexp.console import bar_console
from medexp.logs import FILE_ONLY, shown_on_console
from medexp.training.pace import Pace
from medexp.training.progress_text import Moment, around_the_bar, epoch_line, step_line
from medexp.types import Objective

logger = logging.getLogger(__name__)
REDRAW_SECONDS = 0.2  # drawn in 0.4 ms: a fifth of a percent of the time
PLAIN_SECONDS = 30.0  # without a word


class Progress(keras.callbacks.Callback):
    """One bar for each epoch, and a line when it is over.

    The bar is on standard error where that is a terminal whose logging level shows information; log lines and what is
    printed meanwhile come to stand above it, and it is gone at the end, whatever the end is. Elsewhere there is a line
    for each epoch, and one now and then in a long one. The log file always has the whole line.

    No tensor is read between two steps: that would wait for the device. It counts batches as they begin, which unlike
    their ends come without values.

    Enter it once around all fits of a training, call `begin` before each, and give it to each.

    Args:
        steps: batches of an epoch.
        images: in them.
        val_images: of the validation.
        objective: whose metric is shown, with the best so far.
        history: metrics of the epochs that were trained before.
        console: where the bar is drawn; None for standard error.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        steps: int,
        images: int,
        val_images: int,
        objective: Objective,
        history: Sequence[Mapping[str, float]] = (),
        console: Console | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self._pace = Pace(steps=steps, images=images, val_images=val_images, clock=clock)
        self._steps, self._objective, self._clock = steps, objective, clock
        self._console = console or bar_console()
        self._live: Live | None = None
        self._phase, self._epochs, self._skip, self._epoch = "", 1, 0, 0
        self._last: float | None = None
        self._best: float | None = None
        self._best_epoch = 0
        self._next_draw = self._next_word = math.inf
        for epoch, metrics in enumerate(history, 1):
            self._remember(epoch, metrics)

    def begin(self, *, epochs: int, phase: str = "", skip: int = 0) -> None:
        """Get ready for a fit.

        Args:
            epochs: of the whole training, as far as is known now: the last epoch's number.
            phase: its name; empty where there is one only.
            skip: batches of its first epoch that were trained before.
        """
        self._epochs, self._phase, self._skip = epochs, phase, skip
        self._pace.start_fit()

    def __enter__(self) -> Progress:
        if self._console.is_interactive and self._console.file.isatty() and shown_on_console(logger.name, logging.INFO):
            self._live = Live(
                _Bar(self),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Draw a new bar; `epoch` counts from 0."""
        self._epoch = epoch + 1
        self._pace.start_epoch(skip=self._skip, ahead=self._epochs - epoch - 1)
        self._skip = 0
        self._next_word = self._clock() + PLAIN_SECONDS
        self._start()
        self._draw()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Count the batches before this one."""
        self._pace.start_step(batch)
        self._tick()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Validation begins."""
        self._pace.end_steps()
        self._draw()

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Let the time run."""
        self._tick()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Say how it went."""
        metrics = logs or {}
        seconds = self._pace.end_epoch()
        self._remember(epoch + 1, metrics)
        moment = self.moment
        drawn = self._live is not None
        logger.info("%s", epoch_line(moment, metrics, seconds=seconds), extra=FILE_ONLY if drawn else None)
        if drawn:
            self._print(epoch_line(moment, metrics, seconds=seconds, width=self._console.width - 1))

    @property
    def moment(self) -> Moment:
        """How far the training is now."""
        return Moment(
            epoch=self._epoch,
            epochs=self._epochs,
            phase=self._phase,
            metric=self._objective.metric,
            last=self._last,
            best=self._best,
            best_epoch=self._best_epoch,
            images_per_second=self._pace.images_per_second,
            seconds_left=self._pace.seconds_left,
            validating=self._pace.validating,
        )

    @property
    def share(self) -> float:
        """Of the epoch's batches that are done, 0 to 1."""
        return self._pace.done / self._steps

    def _remember(self, epoch: int, metrics: Mapping[str, float]) -> None:
        value = metrics.get(self._objective.metric)
        if value is None or not math.isfinite(value):
            return
        self._last = value
        if self._best is None or self._objective.better(value, self._best):
            self._best, self._best_epoch = value, epoch

    def _tick(self) -> None:
        now = self._clock()
        if now >= self._next_draw:
            self._draw()
        if now >= self._next_word:
            line = step_line(self.moment, step=self._pace.done, steps=self._steps)
            logger.info("%s", line, extra=FILE_ONLY if self._live else None)
            self._next_word = now + PLAIN_SECONDS

    def _start(self) -> None:
        if self._live is not None and not self._live.is_started:
            try:
                self._live.start()
                self._console.show_cursor(True)  # nothing would bring it back after SIGKILL
            except OSError:
                self._stop()

    def _draw(self) -> None:
        if self._live is not None:
            try:
                self._live.refresh()
            except OSError:  # the terminal is gone; the training goes on
                self._stop()
            self._next_draw = self._clock() + REDRAW_SECONDS

    def _print(self, line: str) -> None:
        try:
            self._console.print(Text(line))
        except OSError:
            self._stop()

    def _stop(self) -> None:
        """Take the bar away for good."""
        live, self._live = self._live, None
        self._next_draw = math.inf
        if live is not None:
            with suppress(OSError):
                live.stop()


class _Bar:
    """Draws the progress of this moment as one line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        before, columns, after = around_the_bar(self._progress.moment, width=options.max_width - 1)
        yield Text(before, end="", no_wrap=True)
        bar = ProgressBar(total=1.0, completed=self._progress.share, width=columns)
        yield from bar.__rich_console__(console, options)
        yield Text(after, end="", no_wrap=True)
