"""The trainer: when things happen, around Keras' own `fit`."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import keras

from medexp.errors import ConfigError, TrainingError
from medexp.training.augmented import AugmentedModel, WithTargets
from medexp.training.best_weights import BestWeights, prune
from medexp.training.callbacks import EpochOrder, EpochReport, OnEpoch, Shuffled
from medexp.training.checkpoint import FOLDER, Checkpoints
from medexp.training.checkpointer import Checkpointer, Writer
from medexp.training.course import Course
from medexp.training.duration import Duration
from medexp.training.moving_average import MovingAverage
from medexp.training.phase import Phase
from medexp.training.reseed import Reseed
from medexp.training.state import Position, TrainingState
from medexp.training.stopping import StopRequest, stoppable
from medexp.types import DataSpec, FitResult, Objective

logger = logging.getLogger(__name__)
BEST_WEIGHTS = "best.weights.h5"


class Module(Protocol):
    """What is learned."""

    def build(self, spec: DataSpec) -> keras.Model:
        """The untrained network."""

    def freeze(self, network: keras.Model, *, train: str | float, batch_norm: Literal["train", "freeze"]) -> int:
        """Decide which layers learn; return how many parameters do."""

    def compile_args(
        self,
        spec: DataSpec,
        network: keras.Model,
        *,
        total_steps: int,
        steps_per_epoch: int,
        learning_rate: float | None = None,
    ) -> dict[str, Any]:
        """New loss, optimizer and metrics."""


class Data(Protocol):
    """What it is learned from."""

    @property
    def spec(self) -> DataSpec:
        """The facts of the data."""

    def train(self, steps: int | None) -> Any:
        """Training batches, a PyDataset that is `Shuffled`: all, or at most `steps` of each epoch."""

    def val(self) -> keras.utils.PyDataset:
        """Validation batches."""


class Trainer:
    """Fits a module to data in phases, keeps the best weights and checkpoints, and reports each epoch.

    Args:
        max_epochs: what a phase's share is of.
        precision: Keras' dtype policy; set before the network is built.
        jit_compile: compile with XLA.
        steps_per_epoch: None for all images, or that many batches.
        checkpoint_every: steps, epochs, minutes or seconds between checkpoints.
        keep_checkpoints: how many stay.

    Raises:
        ConfigError: less than one epoch, step or checkpoint.
    """

    def __init__(
        self,
        *,
        max_epochs: int,
        precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32",
        jit_compile: bool = False,
        steps_per_epoch: int | None = None,
        checkpoint_every: str = "1 minute",
        keep_checkpoints: int = 2,
    ) -> None:
        counts = {"max_epochs": max_epochs, "steps_per_epoch": steps_per_epoch, "keep_checkpoints": keep_checkpoints}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ConfigError(f"trainer.{name}: should be 1 or more. Received: {value}.")
        self.precision = precision
        self.max_epochs = max_epochs
        self._jit_compile = jit_compile
        self._steps = steps_per_epoch
        self._keep = keep_checkpoints
        self._every = Duration.parse(
            checkpoint_every, key="trainer.checkpoint_every", units=("step", "epoch", "minute", "second")
        )

    def fit(
        self,
        module: Module,
        data: Data,
        *,
        phases: Sequence[Phase],
        objective: Objective,
        augmentation: Sequence[keras.layers.Layer],
        folder: Path,
        on_epoch: OnEpoch,
        seed: int,
        resume: bool = False,
        abandon: Callable[[], None] = lambda: None,
    ) -> FitResult:
        """Train, and return how it went and where the best weights are.

        The augmentation is part of the model that is fitted, not of the network whose weights are saved. Order,
        augmentation and dropout are a function of (seed, epoch, step), and a checkpoint holds all the rest: a training
        that goes on from one ends with the weights, bit for bit, of one that was never interrupted.

        Args:
            module: builds, freezes and compiles the network.
            data: training and validation batches.
            phases: in their order; each has callbacks of its own.
            objective: selects the best epoch.
            augmentation: layers between the images and the network, active while training; see `AugmentedModel`.
            folder: of the run; receives `best.weights.h5`, of the network alone, and checkpoints.
            on_epoch: called after each epoch with its number (from 1) and metrics; again for those of the past when a
                training is resumed.
            seed: of augmentation and dropout, which depend on it, the epoch and the step alone.
            resume: go on from the last whole checkpoint in `folder`; from the start where there is none.
            abandon: called before the process ends itself because a step outlasts the time that a signal gives.

        Raises:
            TrainingError: no epoch gave a finite objective, the loss is not a number, an unknown monitor, a checkpoint
                of another training.
            SystemExit: SIGTERM or SIGHUP, after a checkpoint.
            KeyboardInterrupt: Ctrl-C, after a checkpoint.
        """
        folder.mkdir(parents=True, exist_ok=True)
        checkpoints = Checkpoints(folder / FOLDER, keep=self._keep)
        state = checkpoints.read() if resume else None
        batches = data.train(self._steps)
        network = module.build(data.spec)
        course = Course() if state is None else Course.of(state.facts["course"])
        told = {"seed": seed, "data": data.spec.digest, "steps": len(batches), "phases": [p.name for p in phases]}
        if state is not None:
            _check(state.facts["told"], told)
            for epoch, metrics in enumerate(course.history, 1):
                on_epoch(epoch, metrics)
            logger.info("going on after step %d of epoch %d", state.position.step, state.position.epoch + 1)
        with stoppable(abandon=abandon) as stop:
            training = _Training(
                module=module,
                spec=data.spec,
                network=network,
                model=AugmentedModel(network, augmentation, compiled=self._jit_compile) if augmentation else network,
                augmentation=augmentation,
                batches=batches,
                steps=len(batches),
                val=data.val(),
                objective=objective,
                on_epoch=on_epoch,
                seed=seed,
                folder=folder,
                checkpoints=checkpoints,
                every=self._every,
                jit_compile=self._jit_compile,
                stop=stop,
                course=course,
                epochs=[phase.duration.epochs(total_epochs=self.max_epochs, steps_per_epoch=len(batches)) for phase in phases],
                told=told,
            )  # fmt: skip
            for index, phase in enumerate(phases):
                reached = 0 if state is None else state.facts["phase"]
                if index >= reached:
                    training.run(index, phase, state if index == reached else None)
            return training.finish(len(phases))


@dataclass
class _Training:
    """One training under way."""

    module: Module
    spec: DataSpec
    network: keras.Model
    model: keras.Model
    augmentation: Sequence[keras.layers.Layer]
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
    told: dict[str, Any]

    def __post_init__(self) -> None:
        self._phase, self._phase_began = 0, 0
        self._start = time.perf_counter()
        self._before = self.course.seconds
        self._writer = Writer(self.checkpoints, facts=self._facts, on_written=self._forget)

    def run(self, index: int, phase: Phase, state: TrainingState | None) -> None:
        """Train one phase, from its beginning or from a state within it."""
        if state is None and phase.start == "best" and self.course.best:
            self.network.load_weights(self.course.best[0].path(self.folder))
        parameters = self.module.freeze(self.network, train=phase.train, batch_norm=phase.batch_norm)
        epochs = self.epochs[index]
        recipe = self.module.compile_args(
            self.spec,
            self.network,
            total_steps=self.steps * epochs,
            steps_per_epoch=self.steps,
            learning_rate=phase.learning_rate,
        )
        self.model.compile(**recipe, jit_compile=self.jit_compile)
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.test_on_batch(*self.val[0])  # makes the variables of the metrics, which a state has, too
        logger.info(
            "phase %s: %s of %s parameters of %s learn, %d epochs of %d steps",
            phase.name, f"{parameters:,}", f"{self.network.count_params():,}", self.network.name, epochs, self.steps,
        )  # fmt: skip
        self._phase = index
        self._phase_began = len(self.course.history) if state is None else state.facts["phase_began"]
        if state is None and index:
            state = self._writer.state(Position(self._phase_began), self.model, phase.callbacks)
            self._writer.write(state)
            state = None
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
        ahead = sum(self.epochs[self._phase + 1 :])
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
                EpochReport(
                    epochs=end + ahead,
                    objective=self.objective,
                    monitors=monitors,
                    on_epoch=self.on_epoch,
                    course=self.course,
                ),
                BestWeights(self.network, self.folder, objective=self.objective, course=self.course, keep=1),
                *phase.callbacks,
                MovingAverage(),
                checkpointer,
            ],
            verbose=0,
        )
        return None if self.model.stop_training else checkpointer.after_epoch

    def finish(self, phases: int) -> FitResult:
        """Put the best weights in their place, and remember that there is nothing more to train."""
        if not self.course.best:
            raise TrainingError(
                f"No epoch gave a finite {self.objective.metric}. Received: {len(self.course.history)} epochs. "
                "Train longer (trainer.max_epochs), or choose another objective.metric"
            )
        best, path = self.course.best[0], self.folder / BEST_WEIGHTS
        shutil.copyfile(best.path(self.folder), path)
        self._phase = phases
        seconds = self._seconds()
        self._writer.write(TrainingState(Position(len(self.course.history)), {}, self._facts()))
        self.stop.obey()
        history = tuple(self.course.history)
        return FitResult(history, best.epoch, path, seconds)

    def _facts(self) -> dict[str, Any]:
        course = Course(self.course.history, self.course.best, self._seconds())
        return {
            "phase": self._phase,
            "phase_began": self._phase_began,
            "course": course.facts(),
            "told": self.told,
        }

    def _forget(self) -> None:
        prune(self.folder, set(self.course.best))

    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._start


def _check(saved: dict[str, Any], told: dict[str, Any]) -> None:
    """Refuse to go on with another seed, data set, number of steps or list of phases."""
    different = [f"{key}: {saved[key]} then, {told[key]} now" for key in told if saved[key] != told[key]]
    if different:
        raise TrainingError(
            f"This is not the training of the checkpoint. Received: {'; '.join(different)}. "
            "Put the data and the code back as they were, or start a new run"
        )
