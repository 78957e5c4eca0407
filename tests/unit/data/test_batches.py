from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from pixels import ArrayPixels

from medexp.data.batches import Batches
from medexp.training.callbacks import EpochOrder

N = 10
IMAGES = np.arange(N, dtype=np.uint8).reshape(N, 1, 1, 1)
TARGETS = np.arange(N, dtype=np.float32).reshape(N, 1)


def batches(seed: int | None = None, batch_size: int = 4) -> Batches:
    return Batches(ArrayPixels(IMAGES), np.arange(N), TARGETS, batch_size=batch_size, shuffle_seed=seed)


def order(data: Batches) -> list[int]:
    return [int(value) for i in range(len(data)) for value in data[i][1][:, 0]]


def epochs(data: Batches, count: int) -> Iterator[list[int]]:
    for epoch in range(count):
        data.start_epoch(epoch)
        yield order(data)


def test_the_last_batch_is_shorter() -> None:
    data = batches()
    assert [len(data[i][0]) for i in range(len(data))] == [4, 4, 2]


@pytest.mark.parametrize(("batch_size", "count"), [(1, 10), (5, 2), (10, 1), (64, 1)])
def test_every_image_is_in_one_batch(batch_size: int, count: int) -> None:
    data = batches(seed=3, batch_size=batch_size)
    assert len(data) == count
    assert sorted(order(data)) == list(range(N))


def test_images_and_targets_stay_together() -> None:
    data = batches(seed=3)
    for i in range(len(data)):
        images, targets = data[i]
        assert images.ravel().tolist() == targets.ravel().tolist()


def test_only_the_rows_of_the_split_are_read() -> None:
    rows = np.array([7, 2, 5])
    data = Batches(ArrayPixels(IMAGES), rows, TARGETS[rows], batch_size=2)
    assert [int(value) for i in range(len(data)) for value in data[i][0].ravel()] == [7, 2, 5]
    assert order(data) == [7, 2, 5]


def test_sixteen_bits_become_numbers_from_0_to_255_and_keep_the_levels_between() -> None:
    deep = ArrayPixels(np.array([0, 1, 257, 65535], dtype=np.uint16).reshape(4, 1, 1, 1))
    images, _ = Batches(deep, np.arange(4), TARGETS[:4], batch_size=4)[0]
    assert images.dtype == np.float32
    assert images.ravel().tolist() == pytest.approx([0, 1 / 257, 1, 255])


def test_the_order_of_an_epoch_does_not_depend_on_what_was_read_before() -> None:
    fourth = list(epochs(batches(seed=3), 4))[3]
    data = batches(seed=3)
    data.start_epoch(3)
    assert (data.epoch, order(data)) == (3, fourth)


def test_without_a_seed_the_order_is_kept_in_every_epoch() -> None:
    assert list(epochs(batches(), 3)) == [list(range(N))] * 3


def test_with_a_seed_every_epoch_has_its_own_order() -> None:
    first, second, third = epochs(batches(seed=3), 3)
    assert first != second != third != first
    assert first != list(range(N))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert list(epochs(batches(seed=3), 4)) == list(epochs(batches(seed=3), 4))
    assert next(epochs(batches(seed=3), 1)) != next(epochs(batches(seed=4), 1))


class Witness(keras.Model):
    """Remembers the targets it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def train_step(self, data: tuple[object, object]) -> dict[str, float]:
        self.seen += [int(value) for value in np.asarray(data[1]).ravel()]
        return {"loss": 0.0}


@pytest.mark.parametrize("first", [0, 2])
def test_fit_sees_in_each_epoch_the_order_of_that_epoch(first: int) -> None:
    witness, data = Witness(), batches(seed=3)
    witness.compile(run_eagerly=True)
    witness.fit(data, initial_epoch=first, epochs=4, shuffle=False, verbose=0, callbacks=[EpochOrder(data)])
    assert [witness.seen[i : i + N] for i in range(0, len(witness.seen), N)] == list(epochs(batches(seed=3), 4))[first:]
