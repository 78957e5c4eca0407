"""What a network gets to see in `fit`, on whichever Keras backend runs: `python -m seen POLICY FILE`."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from omegaconf import OmegaConf

from medexp.config.instantiate import instantiate
from medexp.config.register import CONF
from medexp.training.augmented import AugmentedModel, WithTargets
from medexp.training.reseed import Reseed

STEPS, BATCH, SIDE = 3, 4, 16
IMAGES = np.random.default_rng(0).integers(0, 256, (STEPS * BATCH, SIDE, SIDE, 3), dtype=np.uint8)
TARGETS = (np.arange(STEPS * BATCH) % 2).astype(np.float32)[:, np.newaxis]


def layers_of(policy: str) -> tuple[keras.layers.Layer, ...]:
    """The layers of a file of conf/augmentation."""
    node = OmegaConf.to_container(OmegaConf.load(CONF / "augmentation" / f"{policy}.yaml"))
    return tuple(instantiate("augmentation", node))


class InOrder(keras.utils.PyDataset):
    """The images, unshuffled."""

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return IMAGES[rows], TARGETS[rows]


class Remember(keras.layers.Layer):
    """Keeps the last batch in a variable, which every backend's `fit` hands back."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.last = self.add_weight(shape=(BATCH, *input_shape[1:]), initializer="zeros", trainable=False)

    def call(self, images: object) -> object:
        self.last.assign(keras.ops.reshape(images, self.last.shape))
        return images


class Collect(keras.callbacks.Callback):
    """Copies what was remembered at the end of each epoch: the batch of its last step."""

    def __init__(self, layer: Remember) -> None:
        super().__init__()
        self._layer = layer
        self.found: dict[int, np.ndarray] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.found[epoch] = np.array(self._layer.last)


def seen(
    layers: Sequence[keras.layers.Layer], *, seed: int = 0, first: int = 0, epochs: int = 2, workers: int = 1
) -> dict[int, np.ndarray]:
    """Fit epochs `first` to `epochs` - 1; return the augmented images of the last step of each."""
    image = keras.Input((SIDE, SIDE, 3))
    remember = Remember()
    pooled = keras.layers.GlobalAveragePooling2D()(remember(image))
    network = keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.5)(pooled)))
    model = AugmentedModel(network, layers)
    model.compile(loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"], jit_compile="auto")
    collect = Collect(remember)
    callbacks = [Reseed(seed=seed, augmentation=layers, network=network), collect]
    batches = WithTargets(InOrder(workers=workers))
    model.fit(batches, epochs=epochs, initial_epoch=first, callbacks=callbacks, verbose=0, shuffle=False)
    return collect.found


def main(policy: str, path: str) -> None:
    """Save what two whole epochs saw, the second epoch alone after other random numbers, and one with another seed."""
    both = seen(layers_of(policy))
    random.seed(99)
    np.random.seed(99)
    keras.utils.set_random_seed(99)
    alone = seen(layers_of(policy), first=1)
    other = seen(layers_of(policy), seed=1, epochs=1)
    np.savez(Path(path), backend=keras.backend.backend(), first=both[0], second=both[1], alone=alone[1], other=other[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
