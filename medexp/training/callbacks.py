"""The trainer's own Keras callback."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import keras

from medexp.errors import TrainingError, unknown
from medexp.training.course import Course
from medexp.training.state import Position
from medexp.types import Objective

OnEpoch = Callable[[int, Mapping[str, float]], None]


class Shuffled(Protocol):
    """Batches in an order of their own for each epoch."""

    def start_epoch(self, epoch: int, *, skip: int = 0) -> None:
        """Take the order of `epoch`, from 0, without its first `skip` batches."""


class EpochOrder(keras.callbacks.Callback):
    """Gives each epoch its own order, whatever Keras has read ahead: a training that begins later sees the same.

    Args:
        batches: of the training.
        start: where the training begins.
    """

    def __init__(self, batches: Shuffled, start: Position) -> None:
        super().__init__()
        self._batches = batches
        self._start = start

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Set the order; `epoch` counts from 0."""
        self._batches.start_epoch(epoch, skip=self._start.step if epoch == self._start.epoch else 0)


class EpochReport(keras.callbacks.Callback):
    """After each epoch: check that it can go on, hand the metrics on.

    Args:
        objective: its metric must be among the epoch's.
        monitors: what other callbacks watch; each must be among the epoch's metrics.
        on_epoch: receives the epoch (from 1) and its metrics, `learning_rate` and `epoch_seconds` among them.
        course: its history receives them, too.

    Raises:
        TrainingError: the loss is not a number; or, after the first epoch, something watched does not exist
            (Keras would only warn, and "best" would be "last").
    """

    def __init__(self, *, objective: Objective, monitors: Sequence[str], on_epoch: OnEpoch, course: Course) -> None:
        super().__init__()
        self._watched = [("objective.metric", objective.metric), *(("callbacks: monitor", m) for m in monitors)]
        self._on_epoch = on_epoch
        self._course = course

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Check, hand on."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        for key, metric in self._watched:
            if metric not in metrics:
                raise TrainingError(f"{key}: {unknown('metric', metric, metrics)}")
        metrics["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        metrics["epoch_seconds"] = time.perf_counter() - self._start
        if not math.isfinite(metrics["loss"]):
            self._on_epoch(epoch + 1, metrics)
            raise TrainingError(
                f"The loss is not a number any more. Received: loss={metrics['loss']} in epoch {epoch + 1}. "
                "Try a smaller optimizer.learning_rate, or trainer.precision=float32"
            )
        self._course.history.append(metrics)
        self._on_epoch(epoch + 1, metrics)
