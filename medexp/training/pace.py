"""How fast a training goes, and when it will be over."""

from __future__ import annotations

import time
from collections.abc import Callable

FORWARD = 1 / 3  # of a training step: what the same images take in validation, until that is measured
MEASURED = 2  # steps that say something


class Pace:
    """Steps of training and validation against the clock.

    The first step of a fit compiles, which may take a minute: it does not count. What an epoch takes besides its steps
    (validation, checkpoints) is measured from its last step to the start of the next epoch.

    Args:
        steps: batches of an epoch.
        images: in them.
        val_images: of the validation.
        clock: seconds that only grow.
    """

    def __init__(
        self, *, steps: int, images: int, val_images: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._steps, self._images_per_step, self._val_images = steps, images / steps, val_images
        self._clock = clock
        self._step_seconds: float | None = None
        self._rest_seconds: float | None = None
        self._compiling = True
        self._trained: float | None = None
        self._ahead = self._skip = self._marked = self.done = 0
        self._began = self._mark = clock()

    def start_fit(self) -> None:
        """The next step compiles."""
        self._compiling = True
        self._trained = None

    def start_epoch(self, *, skip: int, ahead: int) -> None:
        """An epoch begins after its first `skip` batches; `ahead` epochs follow."""
        now = self._clock()
        if self._trained is not None:
            self._rest_seconds = now - self._trained
        self._trained = None
        self._ahead = ahead
        self._skip = self.done = skip
        self._began = self._mark = now
        self._marked = skip

    def start_step(self, batch: int) -> None:
        """The batch `batch`, from 0, of what is left of the epoch begins: the ones before are done."""
        self.done = self._skip + batch
        if batch == 0 or (batch == 1 and self._compiling):
            self._mark, self._marked = self._clock(), self.done
            self._compiling = self._compiling and batch == 0

    def end_steps(self) -> None:
        """All steps of the epoch are done."""
        if self._trained is None:
            self.done = self._steps
            self._measure(least=1)
            self._trained = self._clock()

    def end_epoch(self) -> float:
        """The epoch is over; return its seconds."""
        self.end_steps()
        assert self._trained is not None
        now = self._clock()
        self._rest_seconds = now - self._trained
        return now - self._began

    @property
    def validating(self) -> bool:
        """Whether the steps are done."""
        return self._trained is not None

    @property
    def images_per_second(self) -> float | None:
        """Of training; None before anything is measured."""
        self._measure(least=MEASURED)
        return self._images_per_step / self._step_seconds if self._step_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Of all epochs; None before anything is measured."""
        self._measure(least=MEASURED)
        if self._step_seconds is None:
            return None
        guess = self._val_images / self._images_per_step * self._step_seconds * FORWARD
        rest = guess if self._rest_seconds is None else self._rest_seconds
        if self._trained is None:
            here = (self._steps - self.done) * self._step_seconds + rest
        else:
            here = max(0.0, rest - (self._clock() - self._trained))
        return here + self._ahead * (self._steps * self._step_seconds + rest)

    def _measure(self, *, least: int) -> None:
        """Take the mean of this epoch's steps, once there are enough."""
        steps = self.done - self._marked
        if self._trained is None and steps >= least:
            self._step_seconds = (self._clock() - self._mark) / steps
