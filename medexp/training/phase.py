"""A part of a training with its own trainable layers, learning rate and callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import keras

from medexp.training.duration import Duration


@dataclass(frozen=True)
class Phase:
    """What is trained, and for how long.

    Args:
        name: for logs and messages.
        duration: steps, epochs, or a share of `trainer.max_epochs`.
        train: `all`; `head`: what follows the pooling; the name of a layer: from it to the output; a share of the
            layers with weights, counted from the output.
        batch_norm: `train`, or `freeze` every batch normalisation: it then uses the stored mean and variance, and
            changes neither those nor its scale.
        learning_rate: the peak; None for the optimizer's own.
        start: from the weights at the end of the phase before (`last`), or from the best so far (`best`).
        callbacks: Keras callbacks of this phase alone.
    """

    name: str
    duration: Duration
    train: str | float = "all"
    batch_norm: Literal["train", "freeze"] = "train"
    learning_rate: float | None = None
    start: Literal["last", "best"] = "last"
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
