from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from pixels import ArrayPixels

from medexp.data.ahead import ReadAhead
from medexp.data.balanced import balanced
from medexp.data.batches import Batches
from medexp.data.cache.open import PixelCache
from medexp.data.folder import FolderSource
from medexp.data.module import DataModule, SplitRule
from medexp.errors import DataError
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training.augmented import AugmentedModel, WithTargets
from medexp.training.schedules import constant
from medexp.types import DataSpec, InputSpec

N = 10
IMAGES = np.arange(N, dtype=np.uint8).reshape(N, 1, 1, 1)
TARGETS = np.arange(N, dtype=np.float32).reshape(N, 1)


RARE = np.where(np.arange(N) < 2, 0.25, 0.0625)  # of ten images, two are as likely as the other eight


def batches(
    seed: int | None = None,
    batch_size: int = 4,
    *,
    probabilities: np.ndarray | None = None,
    workers: int = 1,
    limit: int | None = None,
) -> Batches:
    return Batches(
        ArrayPixels(IMAGES),
        np.arange(N),
        TARGETS,
        batch_size=batch_size,
        shuffle_seed=seed,
        probabilities=probabilities,
        workers=workers,
        limit=limit,
    )


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


def in_order(data: Batches) -> keras.callbacks.Callback:
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: data.start_epoch(epoch))


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
    witness.fit(data, initial_epoch=first, epochs=4, shuffle=False, verbose=0, callbacks=[in_order(data)])
    assert [witness.seen[i : i + N] for i in range(0, len(witness.seen), N)] == list(epochs(batches(seed=3), 4))[first:]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("probabilities", [None, RARE])
def test_an_epoch_may_begin_in_its_middle(probabilities: np.ndarray | None, workers: int) -> None:
    data = batches(seed=3, probabilities=probabilities, workers=workers)
    data.start_epoch(2)
    whole = order(data)
    data.start_epoch(2, skip=1)
    assert (len(data), data.epoch, order(data)) == (2, 2, whole[4:])
    data.start_epoch(2, skip=3)
    assert len(data) == 0
    data.start_epoch(2)
    assert order(data) == whole


def test_no_more_can_be_left_out_than_an_epoch_has() -> None:
    data = batches(seed=3, limit=2)
    data.start_epoch(0, skip=1)
    assert len(data) == 1
    with pytest.raises(ValueError, match="has 2 batches, 3 cannot be left out"):
        data.start_epoch(0, skip=3)


def test_rare_images_are_drawn_as_often_as_they_are_likely() -> None:
    data = batches(seed=3, probabilities=RARE)
    drawn = np.concatenate(list(epochs(data, 400)))
    assert len(drawn) == 400 * N
    shares = np.bincount(drawn, minlength=N) / len(drawn)
    assert shares == pytest.approx(RARE, abs=4 * np.sqrt(0.25 * 0.75 / len(drawn)))


def test_what_is_drawn_is_a_function_of_seed_and_epoch() -> None:
    first = list(epochs(batches(seed=3, probabilities=RARE), 4))
    assert first == list(epochs(batches(seed=3, probabilities=RARE), 4))
    assert first != list(epochs(batches(seed=4, probabilities=RARE), 4))
    assert len({tuple(epoch) for epoch in first}) == 4


def test_each_of_several_classes_is_as_likely_as_another() -> None:
    classes = np.eye(3, dtype=bool)[[0] * 6 + [1] * 3 + [2]]
    assert balanced(classes) == pytest.approx([1 / 18] * 6 + [1 / 9] * 3 + [1 / 3])


def test_of_an_image_with_several_labels_the_rarest_decides_and_none_is_a_class() -> None:
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 0], [0, 0]], bool)  # 3 of the first, 1 of the second, 2 of none
    wanted = np.array([1 / 3, 1 / 3, 1, 1 / 2, 1 / 2])
    assert balanced(labels) == pytest.approx(wanted / wanted.sum())


def test_batches_read_ahead_are_those_read_when_asked_for() -> None:
    slow, fast = batches(seed=3, batch_size=1), batches(seed=3, batch_size=1, workers=4)
    for epoch in range(3):
        for data in (slow, fast):
            data.start_epoch(epoch)
        assert order(fast) == order(slow)
        assert [fast[i][1].item() for i in (5, 2, 9, 2)] == [slow[i][1].item() for i in (5, 2, 9, 2)]


def test_what_was_read_ahead_in_an_epoch_is_not_of_the_next() -> None:
    data = batches(seed=3, batch_size=1, workers=4)
    data[0]
    data.start_epoch(1)
    assert order(data) == list(epochs(batches(seed=3, batch_size=1), 2))[1]


def ahead(read: object, *, pool: ThreadPoolExecutor, length: int = 8) -> ReadAhead[int]:
    return ReadAhead(read, length=length, pool=pool, depth=4)  # type: ignore[arg-type]


def test_items_are_read_in_parallel_before_they_are_asked_for() -> None:
    together = threading.Barrier(3)  # passes only when three are being read at the same time

    def read(index: int) -> int:
        together.wait(timeout=20)
        return index

    with ThreadPoolExecutor(3) as pool:
        items = ahead(read, pool=pool, length=6)
        assert [items[i] for i in range(6)] == list(range(6))


def test_only_a_few_items_are_kept_and_none_is_read_twice() -> None:
    read: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        items = ahead(lambda i: read.append(i) or i, pool=pool)
        assert items[0] == 0
        pool.submit(lambda: None).result()
        assert read == [0, 1, 2, 3, 4]
        assert [items[i] for i in range(1, 8)] == list(range(1, 8))
    assert read == list(range(8))


def test_an_item_that_cannot_be_read_is_an_error_where_it_is_asked_for() -> None:
    def read(index: int) -> int:
        if index == 2:
            raise DataError("image 2 is damaged")
        return index

    with ThreadPoolExecutor(2) as pool:
        items = ahead(read, pool=pool)
        assert [items[0], items[1]] == [0, 1]
        with pytest.raises(DataError, match="image 2 is damaged"):
            items[2]


def test_there_is_no_item_behind_the_last() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(IndexError):
        ahead(lambda i: i, pool=pool)[8]


def test_threads_end_with_the_batches() -> None:
    before = set(threading.enumerate())
    data = batches(seed=3, batch_size=1, workers=4)
    order(data)
    readers = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("batches")]
    assert readers
    del data
    gc.collect()
    for thread in readers:
        thread.join(timeout=10)
        assert not thread.is_alive()


CLASSES = np.array([0] * 18 + [1] * 6)
PICTURES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
SPEC = DataSpec("d", "binary", ("a", "b"), InputSpec(8, 8, 1), {"train": {"a": 18, "b": 6}}, "", "")


class Slow(ArrayPixels):
    """Images that take a time of their own to read, and the order in which they were read."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        time.sleep(0.004 * (int(rows[0]) % 3))
        return super().take(rows)


class Recorded(Batches):
    """What was handed to Keras, by epoch."""

    def __init__(self, **options: object) -> None:
        self.seen: list[tuple[int, bytes]] = []
        super().__init__(Slow(PICTURES), np.arange(24), CLASSES[:, None].astype("float32"), batch_size=4, **options)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = super().__getitem__(index)
        self.seen.append((self.epoch, batch[0].tobytes()))
        return batch


def fitted(*, sampling: str, workers: int) -> tuple[list[tuple[int, bytes]], list[bytes]]:
    """The images of three epochs, and the weights behind them, of a fit with validation and augmentation."""
    keras.utils.set_random_seed(0)
    drawn = balanced(np.eye(2, dtype=bool)[CLASSES]) if sampling == "balanced" else None
    data = Recorded(shuffle_seed=5, probabilities=drawn, workers=workers)
    network = simple_cnn(SPEC, filters=[4])
    model = AugmentedModel(network, [keras.layers.RandomFlip(seed=1)])
    module = ClassifierModule(
        network=simple_cnn,
        loss=cross_entropy,
        optimizer=partial(keras.optimizers.SGD, learning_rate=0.1),
        schedule=constant,
    )
    model.compile(**module.compile_args(SPEC, network, total_steps=18, steps_per_epoch=6))
    held_out = Batches(Slow(PICTURES), np.arange(24), CLASSES[:, None].astype("float32"), batch_size=8, workers=workers)
    model.fit(
        WithTargets(data),
        validation_data=held_out,
        epochs=3,
        shuffle=False,
        verbose=0,
        callbacks=[in_order(data)],
    )
    begun = len(data.seen) - 18  # Keras looks at the first batches to learn their shape
    return data.seen[begun:], [weight.tobytes() for weight in network.get_weights()]


@pytest.mark.parametrize("sampling", ["shuffle", "balanced"])
def test_a_fit_does_not_depend_on_the_number_of_workers(sampling: str) -> None:
    seen, weights = fitted(sampling=sampling, workers=1)
    seen_ahead, weights_ahead = fitted(sampling=sampling, workers=4)
    assert [epoch for epoch, _ in seen] == [0] * 6 + [1] * 6 + [2] * 6
    assert seen_ahead == seen
    assert weights_ahead == weights


TWO_DEVICES = """
import sys
sys.path[:0] = sys.argv[1:]
import keras, numpy as np, tensorflow as tf
from pixels import ArrayPixels
from medexp.data.batches import Batches

def in_order(data):
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: data.start_epoch(epoch))

device = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
seen = []

class Witness(keras.Model):
    def call(self, x):
        return x

    def train_step(self, data):
        tf.py_function(lambda values: seen.append(int(values[0, 0])), [data[1]], [])
        return {"loss": tf.constant(0.0)}

n = 48
targets = np.arange(n, dtype="float32")[:, None]
for workers in (1, 4):
    data = Batches(ArrayPixels(np.zeros((n, 1, 1, 1), "uint8")), np.arange(n), targets, batch_size=2, shuffle_seed=3,
                   workers=workers)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = Witness()
        model.compile()
    seen.clear()
    model.fit(data, epochs=3, shuffle=False, verbose=0, callbacks=[in_order(data)])
    for epoch in range(3):
        data.start_epoch(epoch)
        wanted = sorted(int(t) for i in range(len(data)) for t in data[i][1][:, 0])
        found = seen[epoch * n : (epoch + 1) * n]
        batches = [sorted(int(t) for t in data[i][1][:, 0]) for i in range(len(data))]
        assert [sorted(found[i : i + 2]) for i in range(0, n, 2)] == batches, (workers, epoch)
print("the same")
"""


@pytest.mark.slow
def test_two_devices_see_the_order_of_each_epoch_whatever_the_number_of_workers() -> None:
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(tests), str(tests.parent)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.endswith("the same\n"), done.stderr[-3000:]


def test_the_data_module_hands_sampling_and_workers_to_training_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("healthy", 40), ("sick", 8)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "images" / name / f"{i}.png")
    module = DataModule(
        FolderSource(root=str(tmp_path / "images")),
        name="d",
        input=InputSpec(8, 8, 1),
        positive="sick",
        batch_size=8,
        seed=0,
        sampling="balanced",
        workers=2,
        rule=SplitRule(val=0.25, test=0.25),
        cache=PixelCache(tmp_path / "cache", max_bytes=0, workers=1),
    )
    spec = module.setup()
    train, val = module.train(), module.val()
    drawn = np.concatenate([np.ravel(row) for row in (train[i][1] for i in range(len(train)))])
    assert len(drawn) == sum(spec.counts["train"].values())
    sick = []
    for epoch in range(60):
        train.start_epoch(epoch)
        sick += [float(row) for i in range(len(train)) for row in train[i][1][:, 0]]
    assert np.mean(sick) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(sick)))
    labels = [float(row) for i in range(len(val)) for row in val[i][1][:, 0]]
    assert labels == module.examples("val").labels.tolist()
