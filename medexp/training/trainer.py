"""The trainer: when things happen, around Keras' own `fit`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import keras

from medexp.errors import ConfigError, TrainingError
from medexp.training.augmented import AugmentedModel
from medexp.training.callbacks import OnEpoch
from medexp.training.checkpoint import FOLDER, Checkpoints
from medexp.training.course import WEIGHTS, Course
from medexp.training.devices import Devices
from medexp.training.duration import Duration
from medexp.training.fitting import Fitting
from medexp.training.phase import Phase
from medexp.training.progress import Progress
from medexp.training.protocols import Data, Module
from medexp.training.stopping import stoppable
from medexp.types import FitResult, Objective

logger = logging.getLogger(__name__)


class Trainer:
    """Fits a module to data in phases, keeps the best weights and checkpoints, and reports each epoch.

    Args:
        max_epochs: what a phase's share is of.
        precision: of computations; set before the network is built (`session.reset`).
        devices: that share each batch: how many accelerators, or their names; None for what the backend takes.
        jit_compile: compile with XLA.
        steps_per_epoch: None for all images, or that many batches.
        checkpoint_every: steps, epochs, minutes or seconds between checkpoints, with their unit.
        keep_checkpoints: how many stay.
        average_best: how many of the best epochs may be averaged (`greedy_soup`); 1 takes the best.

    Raises:
        ConfigError: less than one epoch, step or checkpoint.
    """

    def __init__(
        self,
        *,
        max_epochs: int,
        precision: Literal["float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"] = "float32",
        devices: int | Sequence[str] | None = None,
        jit_compile: bool = False,
        steps_per_epoch: int | None = None,
        checkpoint_every: str | int = "1 minute",
        keep_checkpoints: int = 2,
        average_best: int = 1,
    ) -> None:
        counts = {
            "max_epochs": max_epochs,
            "steps_per_epoch": steps_per_epoch,
            "keep_checkpoints": keep_checkpoints,
            "average_best": average_best,
        }
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ConfigError(f"trainer.{name}: should be 1 or more. Received: {value}.")
        self.precision = precision
        self.max_epochs = max_epochs
        self._jit_compile = jit_compile
        self._steps = steps_per_epoch
        self._devices = devices
        self._keep = keep_checkpoints
        self._average_best = average_best
        self._every = Duration.parse(
            str(checkpoint_every), key="trainer.checkpoint_every", units=("step", "epoch", "minute", "second")
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
            resume: go on from the last whole checkpoint in `folder`; from the start where there is none. Without it
                what an earlier training has left there is removed.

        A training that goes on in the middle of an epoch is two fits of Keras: callbacks see `on_train_begin` and
        `on_train_end` of the rest of that epoch, whose batches count from 0, and again of the epochs after it. What is
        in memory is put back; what a callback does outside, such as the file that CSVLogger opens anew, is its own
        matter (`append=True` there). `epoch_seconds` of that epoch is what it took this process alone.

        Raises:
            ConfigError: `average_best` with an objective that is not of validation.
            TrainingError: no epoch gave a finite objective, the loss is not a number, an unknown monitor, a checkpoint
                of another training.
            SystemExit: SIGTERM or SIGHUP, after a checkpoint.
            KeyboardInterrupt: Ctrl-C, after a checkpoint.
        """
        if self._average_best > 1 and not objective.metric.startswith("val_"):
            raise ConfigError(
                "trainer.average_best: what is averaged is chosen on validation, and the objective is not of it. "
                f"Received: objective.metric={objective.metric}, trainer.average_best={self._average_best}. "
                f"Override: trainer.average_best=1, or objective.metric=val_{objective.metric}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            clean(folder)
        checkpoints = Checkpoints(folder / FOLDER, keep=self._keep)
        state = checkpoints.read() if resume else None
        devices = Devices.of(self._devices)
        batches = devices.deal(data.train(self._steps), training=True)
        steps = len(batches)
        course = Course() if state is None else Course.of(state.facts["course"])
        told = {"seed": seed, "data": data.spec.digest, "steps": steps, "phases": [phase.name for phase in phases]}
        if state is not None:
            _check(state.facts["told"], told)
            for epoch, metrics in enumerate(course.history, 1):
                on_epoch(epoch, metrics)
            logger.info("going on after step %d of epoch %d", state.position.step, state.position.epoch + 1)
        progress = Progress(
            steps=steps,
            images=len(batches) * len(batches[0][1]) if self._steps else data.spec.images.get("train", steps),
            val_images=data.spec.images.get("val", 0),
            objective=objective,
            history=course.history,
        )
        with stoppable() as stop, progress, devices.scope():
            network = module.build(data.spec)
            stop.obey()
            devices.prepare(network, augmentation)
            fitting = Fitting(
                module=module,
                spec=data.spec,
                network=network,
                model=AugmentedModel(network, augmentation, compiled=self._jit_compile) if augmentation else network,
                augmentation=augmentation,
                devices=devices,
                batches=batches,
                steps=steps,
                val=devices.deal(data.val(), training=False),
                objective=objective,
                on_epoch=on_epoch,
                seed=seed,
                folder=folder,
                checkpoints=checkpoints,
                every=self._every,
                jit_compile=self._jit_compile,
                stop=stop,
                course=course,
                epochs=[phase.duration.epochs(total_epochs=self.max_epochs, steps_per_epoch=steps) for phase in phases],
                keep_best=self._average_best,
                progress=progress,
                told=told,
            )
            reached = 0 if state is None else state.facts["phase"]
            for index, phase in enumerate(phases):
                if index >= reached:
                    fitting.run(index, phase, state if index == reached else None)
            result = fitting.finish(len(phases)) if reached < len(phases) else fitting.finished()
            return replace(result, parameters=network.count_params())


def clean(folder: Path) -> None:
    """Remove what only a resumption needs: checkpoints, and the weights of single epochs."""
    for name in (FOLDER, WEIGHTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _check(saved: dict[str, Any], told: dict[str, Any]) -> None:
    """Refuse to go on with another seed, data set, number of steps or list of phases."""
    different = [f"{key}: {saved[key]} then, {told[key]} now" for key in told if saved[key] != told[key]]
    if different:
        raise TrainingError(
            f"This is not the training of the checkpoint. Received: {'; '.join(different)}. "
            "Put the data and the code back as they were, or start a new run"
        )
