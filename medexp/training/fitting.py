"""One training under way: its phases, one after the other."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from medexp.errors import ConfigError, TrainingError
from medexp.training.augmented import WithTargets
from medexp.training.best_weights import BestWeights
from medexp.training.callbacks import EpochOrder, EpochReport, OnEpoch
from medexp.training.checkpoint import Checkpoints
from medexp.training.checkpointer import Checkpointer, Writer
from medexp.training.course import Course, Kept
from medexp.training.devices import Devices
from medexp.training.duration import Duration
from medexp.training.kept_weights import KeptWeights, weights_file
from medexp.training.moving_average import MovingAverage
from medexp.training.phase import Phase
from medexp.training.progress import Progress
from medexp.training.protocols import Module
from medexp.training.reseed import Reseed
from medexp.training.soup import greedy_soup
from medexp.training.state import Position, TrainingState
from medexp.training.stopping import StopRequest
from medexp.training.whole_file import write_whole
from medexp.types import DataSpec, FitResult, Objective

logger = logging.getLogger(__name__)
BEST_WEIGHTS = "best.weights.h5"


@dataclass
class Fitting:
    """One training under way."""

    module: Module
    spec: DataSpec
    network: keras.Model
    model: keras.Model
    augmentation: Sequence[keras.layers.Layer]
    devices: Devices
    batches: Any
    steps: int
    val: keras.utils.PyDataset
    objective: Objective
    on_epoch: OnEpoch
    seed: int
    folder: Path
    checkpoints: Checkpoints
    every: Duration
    jit_compile: bool
    stop: StopRequest
    course: Course
    epochs: list[int]
    keep_best: int
    progress: Progress
    told: dict[str, Any]

    def __post_init__(self) -> None:
        self._phase, self._phase_began = 0, 0
        self._start = time.perf_counter()
        self._before = self.course.seconds
        self._known: deque[set[Kept]] = deque(maxlen=self.checkpoints.keep)
        self._weights = KeptWeights(self.folder)
        self._writer = Writer(self.checkpoints, facts=self._facts, before=self._weights.write, after=self._forget)

    def run(self, index: int, phase: Phase, state: TrainingState | None) -> None:
        """Train one phase, from its beginning or from a state within it."""
        self.stop.obey()  # here and below: a checkpoint has all that was trained
        if state is None and phase.start == "best" and self.course.best:
            self._write_weights()
            self._weights.load(self.course.best[0], network=self.network)
        parameters = self.module.freeze(self.network, train=phase.train, batch_norm=phase.batch_norm, phase=phase.name)
        epochs = self.epochs[index]
        recipe = self.module.compile_args(
            self.spec,
            self.network,
            total_steps=self.steps * epochs,
            steps_per_epoch=self.steps,
            learning_rate=phase.learning_rate,
        )
        _check_rate(recipe["optimizer"], phase)
        self.devices.prepare_optimizer(recipe["optimizer"])
        self.model.compile(**recipe, jit_compile=self.jit_compile)
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.test_on_batch(*self.val[0])  # makes the variables of the metrics, which a state has, too
        logger.info(
            "phase %s: %s of %s parameters of %s learn, %d epochs of %d steps",
            phase.name, f"{parameters:,}", f"{self.network.count_params():,}", self.network.name, epochs, self.steps,
        )  # fmt: skip
        self._phase = index
        self._phase_began = len(self.course.history) if state is None else state.facts["phase_began"]
        self.stop.obey()
        while True:
            go_on = self._fit(phase, state)
            if go_on is None:
                return
            state = go_on

    def _fit(self, phase: Phase, state: TrainingState | None) -> TrainingState | None:
        """Call Keras' `fit` once; return the state to go on from where that was the rest of an epoch."""
        at = state.position if state else Position(self._phase_began)
        end = self._phase_began + self.epochs[self._phase]
        if state is not None and state.facts["over"]:
            end = at.epoch  # a fit without an epoch: callbacks do what they do at the end of training
        self.batches.start_epoch(at.epoch, skip=at.step)
        checkpointer = Checkpointer(
            self._writer,
            phase.callbacks,
            every=self.every,
            steps_per_epoch=self.steps,
            epochs=(self._phase_began, end),
            resume=state,
            stop=self.stop,
        )
        last = end + sum(self.epochs[self._phase + 1 :])
        self.progress.begin(epochs=last, phase=phase.name if len(self.epochs) > 1 else "", skip=at.step)
        monitors = [m for c in phase.callbacks if isinstance(m := getattr(c, "monitor", None), str)]
        self.model.fit(
            WithTargets(self.batches) if self.augmentation else self.batches,
            validation_data=self.val,
            initial_epoch=at.epoch,
            epochs=at.epoch + 1 if at.step else end,
            shuffle=False,  # Keras would shuffle the batches by Python's global random numbers
            callbacks=[
                EpochOrder(self.batches, at),
                Reseed(seed=self.seed, augmentation=self.augmentation, network=self.network),
                EpochReport(objective=self.objective, monitors=monitors, on_epoch=self.on_epoch, course=self.course),
                BestWeights(
                    self.network, self._weights, objective=self.objective, course=self.course, keep=self.keep_best
                ),
                self.progress,
                *phase.callbacks,
                MovingAverage(),
                checkpointer,
            ],
            verbose=0,
        )
        return None if self.model.stop_training else checkpointer.after_epoch

    def finish(self, phases: int) -> FitResult:
        """Put the best weights in their place, and remember that there is nothing more to train.

        Raises:
            TrainingError: no epoch gave a finite objective, or the weights cannot be written.
        """
        self.stop.obey()
        if not self.course.best:
            raise TrainingError(
                f"No epoch gave a finite {self.objective.metric}. Received: {len(self.course.history)} epochs. "
                "Train longer (trainer.max_epochs), or choose another objective.metric"
            )
        self._write_weights()
        path = self.folder / BEST_WEIGHTS
        if self.keep_best == 1:
            self._weights.load(self.course.best[0], network=self.network)
        else:
            self._average()
        try:
            write_whole(path, weights_file(self.network))
        except OSError as error:
            raise self._no_room(error) from error
        self._phase = phases
        seconds = self._seconds()
        self._writer.write(TrainingState(Position(len(self.course.history)), {}, self._facts()))
        self.stop.obey()
        return self.course.result(path, seconds=seconds)

    def finished(self) -> FitResult:
        """Return the result of a training that was at its end before."""
        return self.course.result(self.folder / BEST_WEIGHTS, seconds=self._before)

    def _average(self) -> None:
        """Average the best epochs as far as validation does not suffer, and measure what comes out."""
        measured: dict[str, float] = {}

        def score() -> float:
            self.stop.obey()
            found = self.model.evaluate(self.val, return_dict=True, verbose=0)
            measured.update({f"val_{name}": float(value) for name, value in found.items()})
            return measured[self.objective.metric]

        soup = greedy_soup(
            self.network,
            self.course.best,
            load=partial(self._weights.load, network=self.network),
            objective=self.objective,
            score=score,
        )
        score()
        self.course.averaged = measured
        logger.info("averaged epochs %s: %s %.4f", ", ".join(map(str, soup.members)), self.objective.metric, soup.value)

    def _write_weights(self) -> None:
        """Write the weights of the best epochs: they are needed now."""
        try:
            self._weights.write()
        except OSError as error:
            raise self._no_room(error) from error

    def _no_room(self, error: OSError) -> TrainingError:
        return TrainingError(
            f"The weights of the best epoch cannot be written ({error}). Received: {self.folder}. Make room, then go "
            f"on from the last checkpoint with python scripts/train.py resume={self.folder.name}"
        )

    def _facts(self) -> dict[str, Any]:
        course = replace(self.course, seconds=self._seconds())
        return {
            "phase": self._phase,
            "phase_began": self._phase_began,
            "course": course.facts(),
            "told": self.told,
        }

    def _forget(self) -> None:
        """Remove the weights that no checkpoint on the disk knows: those of a process before this one know others."""
        self._known.append(set(self.course.best))
        if len(self._known) == self._known.maxlen:
            self._weights.prune(all_but=set().union(*self._known))

    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._start


def _check_rate(optimizer: keras.Optimizer, phase: Phase) -> None:
    """Refuse two that both set the learning rate: Keras would stop at the first change, epochs later."""
    setters = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    names = [type(callback).__name__ for callback in phase.callbacks if isinstance(callback, setters)]
    if names and not isinstance(optimizer._learning_rate, keras.Variable):
        raise ConfigError(
            f"The learning rate follows a schedule, and a callback sets it, too. Received: {names[0]} in phase "
            f"{phase.name}. Override: schedule=plateau or schedule=constant, or take the callback away"
        )
