"""Random numbers that depend on the seed, the epoch and the step in it, and on nothing before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class Reseed(keras.callbacks.Callback):
    """Sets every seed generator of the fitted model anew at the start of each epoch.

    Keras draws the state of a generator from Python's random numbers when a layer is made, and counts its draws: what
    a step draws would depend on all that was drawn before, and on whether the process began at this epoch. A generator
    counts on within an epoch, one draw for one, so that the step decides too.

    Args:
        seed: of the run.
        augmentation: layers, in order.
        network: its dropout.
    """

    def __init__(self, *, seed: int, augmentation: Sequence[keras.layers.Layer], network: keras.Model) -> None:
        super().__init__()
        self._seed = seed
        self._augmentation = augmentation
        self._network = network

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set the states; `epoch` counts from 0."""
        reseed(self._augmentation, seed=self._seed, epoch=epoch)
        reseed([self._network], seed=self._seed, epoch=epoch, stream=1)


def reseed(layers: Sequence[keras.layers.Layer], *, seed: int, epoch: int, stream: int = 0) -> None:
    """Set each seed generator in `layers`, however deep, from (seed, epoch, stream, its place)."""
    for place, state in enumerate(_states(layers)):
        number = np.random.SeedSequence([seed, epoch, stream, place]).generate_state(1)[0] & 0x7FFFFFFF
        state.assign(np.array([number, 0], dtype=state.dtype))


def _states(layers: Sequence[keras.layers.Layer]) -> list[Any]:
    found = {id(v): v for layer in layers for v in layer.variables if v.name == "seed_generator_state"}
    return list(found.values())
