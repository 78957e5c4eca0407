"""The preview shows what training sees."""

from __future__ import annotations

import keras
import numpy as np
from seen import BATCH, IMAGES, TARGETS, InOrder, layers_of

from medexp.data.augmentation import standard
from medexp.training.augmented import AugmentedModel, WithTargets
from medexp.training.preview import preview
from medexp.training.reseed import Reseed


class OneBatch(InOrder):
    def __len__(self) -> int:
        return 1


def seen_by_the_first_step(layers: tuple[keras.layers.Layer, ...]) -> np.ndarray:
    found = []

    class Spy(keras.layers.Layer):
        def call(self, images: object, training: bool = False) -> object:
            if training:
                found.append(np.array(images))
            return images

    image = keras.Input(IMAGES.shape[1:])
    output = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(Spy()(image)))
    network = keras.Model(image, output)
    model = AugmentedModel(network, layers)
    model.compile(loss="binary_crossentropy", optimizer="sgd", run_eagerly=True)
    reseed = Reseed(seed=7, augmentation=layers, network=network)
    model.fit(WithTargets(OneBatch()), epochs=1, callbacks=[reseed], verbose=0, shuffle=False)
    return found[0]


def test_version_1_is_what_the_first_step_of_training_sees() -> None:
    layers = layers_of("medical")
    seen = seen_by_the_first_step(layers)
    shown = preview(OneBatch(), layers, seed=7, images=BATCH, versions=2)
    order = [np.flatnonzero((IMAGES[:BATCH] == image).all(axis=(1, 2, 3)))[0] for image in shown.images]
    assert (shown.augmented[0] == seen[order]).all()
    assert (shown.augmented[1] != seen[order]).any()


def test_classes_come_in_turn_with_their_targets() -> None:
    shown = preview(InOrder(), (), seed=0, images=4, versions=1)
    assert shown.targets[:, 0].tolist() == [0, 1, 0, 1]
    for image, target in zip(shown.images, shown.targets, strict=True):
        (row,) = np.flatnonzero((image == IMAGES).all(axis=(1, 2, 3)))
        assert TARGETS[row] == target


def test_mixed_targets_belong_to_their_versions() -> None:
    shown = preview(InOrder(), tuple(standard(name="p", mixup=1.0)), seed=0, images=3, versions=2)
    assert (shown.augmented.shape[:2], shown.mixed.shape) == ((2, 3), (2, 3, 1))
    assert ((shown.mixed > 0) & (shown.mixed < 1)).any()
