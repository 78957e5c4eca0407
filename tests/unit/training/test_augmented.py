"""The model that is fitted: targets are mixed as images are, the network alone is validated and saved."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from medexp.data.mixing import CutMix, MixUp
from medexp.training.augmented import AugmentedModel, WithTargets, augment

RNG = np.random.default_rng(0)
N = 16
LEVELS = np.linspace(0, 240, N).astype(np.float32)  # a grey level says which image it was
FLAT = np.broadcast_to(LEVELS[:, None, None, None], (N, 8, 8, 1)).copy()
TASKS = {
    "binary": (np.arange(N) % 2).astype(np.float32)[:, None],
    "multiclass": np.eye(3, dtype=np.float32)[np.arange(N) % 3],
    "multilabel": RNG.integers(0, 2, (N, 4)).astype(np.float32),
    "ordinal": (np.arange(N)[:, None] % 4 > np.arange(3)).astype(np.float32),
}
MIXERS: dict[str, Callable[[], keras.layers.Layer]] = {
    "mixup": lambda: MixUp(1.0, seed=3, dtype="float32"),
    "cutmix": lambda: CutMix(1.0, seed=3, dtype="float32"),
    "Keras' mixup": lambda: keras.layers.MixUp(1.0, seed=3, dtype="float32"),
}


def network(outputs: int = 1) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    activation = "sigmoid" if outputs == 1 else "softmax"
    return keras.Model(image, keras.layers.Dense(outputs, activation=activation, dtype="float32")(x))


class Batches(keras.utils.PyDataset):
    def __init__(self, images: np.ndarray, targets: np.ndarray) -> None:
        super().__init__()
        self.data = images, targets
        self.epochs: list[str] = []

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.data

    def on_epoch_begin(self) -> None:
        self.epochs.append("begin")

    def on_epoch_end(self) -> None:
        self.epochs.append("end")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("mixer", MIXERS)
def test_targets_are_mixed_by_the_weights_of_their_images(mixer: str, task: str) -> None:
    targets = TASKS[task]
    images, mixed = (np.array(part) for part in augment([MIXERS[mixer]()], FLAT, targets))
    assert mixed.shape == targets.shape
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    for i in range(N):  # the mean level of a mixture lies between those of its two images, as far as its target does
        candidates = []
        for j in range(N):
            weight = (images[i].mean() - LEVELS[j]) / (LEVELS[i] - LEVELS[j]) if i != j else 1.0
            candidates.append(np.abs(weight * targets[i] + (1 - weight) * targets[j] - mixed[i]).max())
        assert min(candidates) < 1e-3


@pytest.mark.parametrize("mixer", MIXERS)
def test_the_loss_is_about_the_mixed_targets(mixer: str) -> None:
    targets = TASKS["binary"]
    inside, outside = (MIXERS[mixer]() for _ in range(2))
    model = AugmentedModel(network(), [inside])
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.SGD(0.0))
    loss = model.train_on_batch({"image": FLAT, "target": targets}, targets)
    images, mixed = augment([outside], FLAT, targets)
    outside_loss = keras.losses.BinaryCrossentropy()(mixed, model.network(images))
    plain_loss = keras.losses.BinaryCrossentropy()(targets, model.network(images))
    assert float(loss) == pytest.approx(float(outside_loss), abs=1e-5)
    assert float(loss) != pytest.approx(float(plain_loss), abs=1e-3)


def test_metrics_of_training_take_the_heavier_of_two_targets() -> None:
    targets = TASKS["multiclass"]
    model = AugmentedModel(network(3), [MIXERS["mixup"]()])
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.SGD(0.0), metrics=["accuracy"])
    found = model.train_on_batch({"image": FLAT, "target": targets}, targets, return_dict=True)
    images, mixed = augment([MIXERS["mixup"]()], FLAT, targets)
    right = np.array(model.network(images)).argmax(axis=1) == np.array(mixed).argmax(axis=1)
    assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-6)


def test_validation_sees_the_network_alone() -> None:
    model = AugmentedModel(network(), [MIXERS["mixup"](), keras.layers.GaussianNoise(1.0)])
    model.compile(loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"])
    found = model.fit(
        WithTargets(Batches(FLAT, TASKS["binary"])), validation_data=Batches(FLAT, TASKS["binary"]), verbose=0
    )
    expected = keras.losses.BinaryCrossentropy()(TASKS["binary"], model.network(FLAT))
    assert found.history["val_loss"][0] == pytest.approx(float(expected), abs=1e-5)
    assert np.array(model(FLAT)) == pytest.approx(np.array(model.network(FLAT)))


def test_the_weights_of_the_fitted_model_are_those_of_the_network() -> None:
    built = network()
    model = AugmentedModel(built, [MIXERS["mixup"]()])
    model(FLAT)
    assert [id(v) for v in model.trainable_variables] == [id(v) for v in built.trainable_variables]


def test_8_bit_images_are_augmented_as_floats() -> None:
    images, _ = augment(
        [keras.layers.GaussianNoise(1.0, dtype="float32")], np.full((4, 8, 8, 1), 254, np.uint8), TASKS["binary"][:4]
    )
    assert np.array(images).dtype == np.float32
    assert np.array(images).mean() == pytest.approx(254, abs=1)
    assert (np.array(images) % 1 != 0).any()


def test_targets_as_an_input_leave_batches_and_epochs_as_they_are() -> None:
    inner = Batches(FLAT, TASKS["binary"])
    wrapped = WithTargets(inner)
    inputs, targets = wrapped[0]
    assert (inputs["image"] is inner.data[0], inputs["target"] is targets, len(wrapped)) == (True, True, 1)
    wrapped.on_epoch_begin()
    wrapped.on_epoch_end()
    assert inner.epochs == ["begin", "end"]


def test_loaders_of_the_batches_are_kept() -> None:
    inner = Batches(FLAT, TASKS["binary"])
    inner.workers, inner.max_queue_size = 4, 3
    wrapped = WithTargets(inner)
    assert (wrapped.workers, wrapped.max_queue_size) == (4, 3)
