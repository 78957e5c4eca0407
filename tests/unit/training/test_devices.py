"""Several devices give the training that one would give."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support import ROOT

from medexp.data.batches import Batches
from medexp.errors import ConfigError
from medexp.imaging.scale import scale
from medexp.training import session
from medexp.training.devices import Devices, virtual_cpus
from medexp.training.even import Even
from medexp.types import InputSpec

# Trains on one device and on two of the processor: batch normalisation, clipping, a moving average, weight decay, a
# schedule, the fitted model and batches of medexp, a validation that leaves one image over. Then each device draws.
TRAINING = """
import json, sys
from pathlib import Path
from medexp.training import session
from medexp.training.devices import Devices, virtual_cpus

TWO = ["cpu:0", "cpu:1"]
session.load_backend("tensorflow", Path(sys.argv[1]), cpus=virtual_cpus(TWO))
import keras, numpy as np
from medexp.data.batches import Batches
from medexp.errors import ConfigError
from medexp.models.metrics import MeanAUC, binary_accuracy
from medexp.models.simple_cnn import simple_cnn
from medexp.training.augmented import AugmentedModel, WithTargets
from medexp.training.reseed import Reseed
from medexp.types import DataSpec, InputSpec

INPUT = InputSpec(16, 16, 1)
SPEC = DataSpec("d", "binary", ("a", "b"), INPUT, {}, "", "")
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (44, *INPUT.shape), dtype=np.uint8)
TARGETS = rng.integers(0, 2, (44, 1)).astype("float32")

class Pixels:
    input = INPUT
    def take(self, rows): return IMAGES[rows]

def batches(count, **more):
    return Batches(Pixels(), np.arange(count), TARGETS[:count], batch_size=16, **more)

def fit(wanted):
    session.reset(seed=1, precision="float32")
    devices = Devices.of(wanted)
    train = devices.deal(batches(44, shuffle_seed=1), training=True)
    val = devices.deal(batches(33), training=False)
    augmentation = [keras.layers.Rescaling(1.0)]
    rate = keras.optimizers.schedules.CosineDecay(0.01, 9)
    with devices.scope():
        optimizer = keras.optimizers.AdamW(rate, weight_decay=0.1, global_clipnorm=0.05, use_ema=True)
        network = simple_cnn(SPEC, filters=[4], dropout=0.0)
        devices.prepare(network, augmentation)
        devices.prepare_optimizer(optimizer)
        model = AugmentedModel(network, augmentation)
        accuracy = keras.metrics.MeanMetricWrapper(binary_accuracy, name="accuracy")
        model.compile(optimizer, keras.losses.BinaryCrossentropy(), metrics=[MeanAUC(1), accuracy], jit_compile=False)
        history = model.fit(WithTargets(train), validation_data=val, epochs=2, verbose=0, shuffle=False,
                            callbacks=[Reseed(seed=1, augmentation=augmentation, network=network)]).history
    return {"history": history, "weights": [float(np.abs(w).sum()) for w in network.get_weights()]}

def drawn(wanted):
    session.reset(seed=1, precision="float32")
    layer = keras.layers.Dropout(0.5, seed=3)  # made outside, as an augmentation is
    image = keras.Input((64,))
    devices = Devices.of(wanted)
    with devices.scope():
        devices.prepare(keras.Model(image, image), [layer])
        ones = np.ones((1, 64), "float32")
        if devices.strategy is None:
            return [np.array(layer(ones, training=True)).tolist() for _ in range(2)]
        import tensorflow as tf
        step = tf.function(lambda: devices.strategy.run(lambda: layer(ones, training=True)))
        return [[np.array(part).tolist() for part in step().values] for _ in range(2)]

def refused():
    devices = Devices.of(TWO)
    try:
        with devices.scope():
            devices.prepare_optimizer(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    except ConfigError as error:
        return str(error)

print(json.dumps({"one": fit(None), "two": fit(TWO), "drawn one": drawn(None), "drawn two": drawn(TWO),
                  "refused": refused()}))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    log = tmp_path_factory.mktemp("devices") / "native.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", TRAINING, str(log)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_two_devices_give_the_losses_metrics_and_weights_of_one(trained: dict[str, Any]) -> None:
    one, two = trained["one"], trained["two"]
    assert set(one["history"]) == {"loss", "auc", "accuracy", "val_loss", "val_auc", "val_accuracy"}
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, abs=1e-5), name
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-4)


@pytest.mark.slow
def test_each_device_draws_other_numbers_and_the_first_those_of_a_single_one(trained: dict[str, Any]) -> None:
    for alone, (first, second) in zip(trained["drawn one"], trained["drawn two"], strict=True):
        assert first == alone
        assert second != first
    (first, second), (third, _) = trained["drawn two"]
    assert third not in (first, second)


def test_accumulated_gradients_are_refused(trained: dict[str, Any]) -> None:
    assert "Override: optimizer.gradient_accumulation_steps=null" in trained["refused"]


RESUMED = """
import json, sys
from functools import partial
from pathlib import Path
from medexp.training import session
from medexp.training.devices import virtual_cpus

TWO = ["cpu:0", "cpu:1"]
folder = Path(sys.argv[1])
session.load_backend("tensorflow", folder / "native.log", cpus=virtual_cpus(TWO))
import keras
from small_training import At, Interrupted, fit, history, interrupt, one_phase, weights
from medexp.data.augmentation import standard

optimizer = partial(keras.optimizers.AdamW, learning_rate=0.02, use_ema=True, global_clipnorm=1.0)

def train(name, batch, resume=False):
    augmentation = standard(name="test", flip="horizontal", rotation=0.02, noise=0.01)
    phases = one_phase(3, At("step", 1, interrupt, batch=batch))
    return fit(folder / name, phases, optimizer=optimizer, augmentation=augmentation, devices=TWO,
               checkpoint_every="2 steps", resume=resume)

whole, again = train("whole", 99), train("again", 99)
try:
    train("parts", 3)
except Interrupted:
    parts = train("parts", 99, resume=True)
print(json.dumps([history(one) == history(whole) and weights(one) == weights(whole) for one in (again, parts)]))
"""


@pytest.mark.slow
def test_a_training_on_two_devices_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", RESUMED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    repeated, resumed = json.loads(done.stdout.splitlines()[-1])
    assert repeated
    assert resumed


def test_no_choice_is_the_device_that_the_backend_takes() -> None:
    devices = Devices.of(None)
    batches = keras.utils.PyDataset()
    assert (devices.count, devices.strategy, devices.deal(batches, training=True)) == (1, None, batches)


@pytest.mark.parametrize("wanted", [["gpu:7"], ["cpu:0", "cpu:0"], ["cpu:0", "cpu:5"], 64, 0, []])
def test_devices_that_there_are_not_are_refused_with_those_found(wanted: int | list[str]) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.devices.*Received: .*Found: .*cpu:0.*trainer\.devices=null"):
        Devices.of(wanted)


def test_one_device_by_its_name_is_taken_however_it_is_written() -> None:
    assert Devices.of(["/CPU:0"]).names == ("cpu:0",)


@pytest.mark.parametrize(
    ("wanted", "count"), [(None, 1), (4, 1), (["gpu:0", "gpu:1"], 1), (["cpu:0", "cpu:1"], 2), (["/CPU:3"], 4)]
)
def test_names_of_processors_say_how_many_there_have_to_be(wanted: int | list[str] | None, count: int) -> None:
    assert virtual_cpus(wanted) == count


def test_a_processor_in_use_is_not_divided(tmp_path: Path) -> None:
    keras.ops.convert_to_tensor(0.0)
    with pytest.raises(ConfigError, match=r"trainer\.devices.*cannot be 2.*Start a new process"):
        session.load_backend("tensorflow", tmp_path / "native.log", cpus=2)


class Pixels:
    input = InputSpec(2, 2, 1)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(rows[:, None, None, None], (len(rows), 2, 2, 1)).astype(np.uint8)


def numbered(count: int, batch_size: int = 4, shuffle_seed: int | None = None) -> Batches:
    targets = np.arange(count, dtype=np.float32)[:, None]
    return Batches(Pixels(), np.arange(count), targets, batch_size=batch_size, shuffle_seed=shuffle_seed)  # type: ignore[arg-type]


def dealt(batches: Even) -> list[list[float]]:
    found = [batches[index] for index in range(len(batches))]
    assert all((images[:, 0, 0, 0] == targets[:, 0]).all() for images, targets in found)
    return [targets[:, 0].tolist() for _, targets in found]


def test_training_leaves_out_what_cannot_be_dealt() -> None:
    assert dealt(Even(numbered(11), 2, training=True)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert dealt(Even(numbered(9), 2, training=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_other_images_are_left_out_in_another_epoch() -> None:
    even, seen = Even(numbered(9, shuffle_seed=0), 2, training=True), []
    for epoch in range(2):
        even.start_epoch(epoch)
        seen.append({number for batch in dealt(even) for number in batch})
    assert seen[0] != seen[1]


def test_validation_counts_every_image() -> None:
    assert dealt(Even(numbered(11), 2, training=False))[-1] == [8, 9, 10]
    assert dealt(Even(numbered(9), 2, training=False)) == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


def test_an_epoch_begins_in_its_middle() -> None:
    even = Even(numbered(11), 2, training=True)
    even.start_epoch(0, skip=1)
    assert dealt(even) == [[4, 5, 6, 7], [8, 9]]


def test_a_batch_that_cannot_be_dealt_names_one_that_can() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=4\. Override: data\.batch_size=3"):
        Even(numbered(11), 3, training=True)


def test_fewer_images_than_devices_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 images, 2 devices"):
        Even(numbered(1), 2, training=False)


def test_pixels_stay_as_they_are() -> None:
    images, _ = Even(numbered(4), 2, training=True)[0]
    assert images.dtype == scale(Pixels().take(np.arange(2))).dtype
