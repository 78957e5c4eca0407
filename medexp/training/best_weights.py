"""Keep the weights of the best epochs."""

from __future__ import annotations

import math
from pathlib import Path

import keras

from medexp.errors import TrainingError
from medexp.training.course import Course, Kept
from medexp.types import Objective


class BestWeights(keras.callbacks.Callback):
    """Saves the weights of `network` after each of the `keep` best epochs so far; of two equal ones the earlier wins.

    Keras' ModelCheckpoint would save the fitted model, augmentation and optimizer included. Files of epochs that are
    not among the best any more stay until `prune`: a checkpoint may still know them.

    Args:
        network: whose weights are saved.
        folder: of the run.
        objective: what is best.
        course: receives the epochs.
        keep: how many.

    Raises:
        TrainingError: the weights cannot be written.
    """

    def __init__(self, network: keras.Model, folder: Path, *, objective: Objective, course: Course, keep: int) -> None:
        super().__init__()
        self._network, self._folder = network, folder
        self._objective, self._course, self._keep = objective, course, keep

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare and save; `epoch` counts from 0."""
        new = Kept(epoch + 1, float((logs or {})[self._objective.metric]))
        if not math.isfinite(new.value):
            return
        sign = -1 if self._objective.mode == "max" else 1
        best = sorted([*self._course.best, new], key=lambda kept: (sign * kept.value, kept.epoch))[: self._keep]
        if new in best:
            save_weights(self._network, new.path(self._folder))
        self._course.best[:] = best


def save_weights(network: keras.Model, path: Path) -> None:
    """Save the weights of a network under a name that stands for a whole file."""
    new = path.with_name(f"new-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        network.save_weights(new)
        new.replace(path)
    except OSError as error:
        if path.parent.is_dir():
            new.unlink(missing_ok=True)
        raise TrainingError(
            f"The weights of the best epoch cannot be written ({error}). Received: {path}. Make room, then go on with "
            f"python scripts/train.py resume={path.parent.parent.name}"
        ) from error


def prune(folder: Path, kept: set[Kept]) -> None:
    """Remove the weights of all other epochs."""
    wanted = {each.path(folder) for each in kept}
    for path in next(iter(wanted)).parent.glob("*.weights.h5") if wanted else ():
        if path not in wanted:
            path.unlink(missing_ok=True)
