"""Write a checkpoint every so often, and put one back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from medexp.errors import TrainingError
from medexp.training.callback_state import left_out
from medexp.training.checkpoint import Checkpoints
from medexp.training.duration import Duration
from medexp.training.state import Position, TrainingState, capture, is_finite, restore
from medexp.training.stopping import StopRequest

logger = logging.getLogger(__name__)


class Writer:
    """Writes the states of one training; a full disk is said, and tried again at the next one.

    Args:
        checkpoints: where to.
        facts: that belong to each state besides what `capture` takes.
        before: called before each write: puts on the disk what the state refers to. Its OSError is the write's own.
        after: called after each write, for what only older checkpoints needed.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        *,
        facts: Callable[[], dict[str, Any]],
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        self._checkpoints, self._facts, self._before, self._after = checkpoints, facts, before, after

    def state(
        self, position: Position, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], *, over: bool
    ) -> TrainingState:
        """Return the state of now; `over`: the phase is at its end.

        Raises:
            TrainingError: a weight is not a number; such a state is of no use.
        """
        arrays, facts = capture(model, callbacks)
        if not is_finite(arrays):
            raise TrainingError(
                f"The weights are not numbers any more. Received: NaN or infinity after step {position.step} of epoch "
                f"{position.epoch + 1}. The checkpoint before it stays. Try a smaller optimizer.learning_rate, "
                "optimizer.clipnorm=1, or trainer.precision=float32"
            )
        return TrainingState(position, arrays, {**facts, **self._facts(), "over": over})

    def write(self, state: TrainingState) -> None:
        """Write it, or say why not."""
        try:
            self._before()
            self._checkpoints.write(state)
        except OSError as error:
            last = next(iter(self._checkpoints.paths()), None)
            logger.error(
                "no checkpoint of epoch %d, step %d could be written (%s); the training goes on, and tries again. "
                "The last one is %s",
                state.position.epoch + 1, state.position.step, error, last.name if last else "none",
            )  # fmt: skip
        else:
            self._after()


class Checkpointer(keras.callbacks.Callback):
    """Writes states during one `fit`, obeys a request to stop, and puts the state back that the fit goes on from.

    It comes last among the callbacks: what others do at the same moment belongs to the state.

    Args:
        writer: of states.
        callbacks: whose state counts.
        every: how often.
        steps_per_epoch: batches of a whole epoch.
        epochs: (first, end) of the phase, from 0.
        resume: what this fit goes on from; None at the beginning of a phase.
        stop: obeyed after the step, and after the epoch.
    """

    def __init__(
        self,
        writer: Writer,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        every: Duration,
        steps_per_epoch: int,
        epochs: tuple[int, int],
        resume: TrainingState | None,
        stop: StopRequest,
    ) -> None:
        super().__init__()
        self._writer, self._callbacks, self._stop = writer, callbacks, stop
        self._steps_per_epoch = steps_per_epoch
        self._every_seconds = every.seconds
        first, self._end = epochs
        total = (self._end - first) * steps_per_epoch
        self._every_steps = (
            max(1, every.steps(total_steps=total, steps_per_epoch=steps_per_epoch))
            if self._every_seconds is None
            else 0
        )
        self._resume = resume
        self._at = resume.position if resume else Position(first)
        self._since = 0
        self._clock = time.monotonic()
        self.after_epoch: TrainingState | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put weights, optimizer and callbacks back, after what others have set up."""
        if self._resume is not None:
            restore(self._resume, self.model, self._callbacks)
            return
        for callback in self._callbacks:
            if names := left_out(callback):
                logger.info(
                    "checkpoints do not hold all that callback %s has (%s); if it decides anything, give the class "
                    "get_state() and set_state()",
                    type(callback).__name__, ", ".join(names),
                )  # fmt: skip

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count; `epoch` from 0."""
        self._offset = self._at.step
        self._at = Position(epoch + 1)

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Write if it is time. After the last step of an epoch comes validation first.

        Where an epoch goes on in its middle, put everything back once more before its first step: others have begun
        the epoch, and the step, a second time, and Keras has reset the metrics.

        Not at the end of a step: Keras reads the metrics for whoever listens there, and waits for the device.
        """
        if not batch:
            if self._offset and self._resume is not None:
                restore(self._resume, self.model, self._callbacks)
            return
        self._since += 1
        if self._stop.pending or self._due():
            self._write(Position(self._at.epoch - 1, self._offset + batch))
            self._stop.obey()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write if it is time, and where the phase is over: what comes then is slow, and nothing is lost meanwhile."""
        self._since += 1
        over = bool(self.model.stop_training) or epoch + 1 == self._end
        if self._offset and not over:  # the next epochs are another fit
            self.after_epoch = self._writer.state(self._at, self.model, self._callbacks, over=False)
        if over or self._stop.pending or self._due():
            self._write(self._at, over=over)
            self._stop.obey()

    def _due(self) -> bool:
        if self._every_seconds is not None:
            return time.monotonic() - self._clock >= self._every_seconds
        return self._since >= self._every_steps

    def _write(self, position: Position, *, over: bool = False) -> None:
        self._writer.write(self._writer.state(position, self.model, self._callbacks, over=over))
        self._since, self._clock = 0, time.monotonic()
