"""Keep the weights of the best epochs."""

from __future__ import annotations

import logging
import math

import keras

from medexp.training.course import Course, Kept
from medexp.training.kept_weights import KeptWeights
from medexp.types import Objective

logger = logging.getLogger(__name__)


class BestWeights(keras.callbacks.Callback):
    """Saves the weights of `network` after each of the `keep` best epochs so far; of two equal ones the earlier wins.

    Keras' ModelCheckpoint would save the fitted model, augmentation and optimizer included. Files of epochs that are
    not among the best any more stay until they are pruned: a checkpoint may still know them. Weights that a full disk
    has no room for are held in memory and tried again after each epoch, and before each checkpoint.

    Args:
        network: whose weights are saved.
        weights: where to.
        objective: what is best.
        course: receives the epochs.
        keep: how many.
    """

    def __init__(
        self, network: keras.Model, weights: KeptWeights, *, objective: Objective, course: Course, keep: int
    ) -> None:
        super().__init__()
        self._network, self._weights = network, weights
        self._objective, self._course, self._keep = objective, course, keep

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare and save; `epoch` counts from 0."""
        new = Kept(epoch + 1, float((logs or {})[self._objective.metric]))
        if math.isfinite(new.value):
            sign = -1 if self._objective.mode == "max" else 1
            best = sorted([*self._course.best, new], key=lambda kept: (sign * kept.value, kept.epoch))[: self._keep]
            if new in best:
                self._weights.hold(new, self._network)
            self._weights.drop(all_but=best)
            self._course.best[:] = best
        try:
            self._weights.write()
        except OSError as error:
            logger.error(
                "the weights of the best epoch cannot be written (%s): they stay in memory; the training goes on, and "
                "tries again",
                error,
            )
