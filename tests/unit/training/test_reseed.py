"""Random numbers of training depend on (seed, epoch, step) only."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from seen import BATCH, SIDE, layers_of, main, seen
from support import ROOT

from medexp.config.register import CONF
from medexp.data.augmentation import randaugment
from medexp.training.reseed import reseed

RANDOM = sorted({path.stem for path in (CONF / "augmentation").glob("*.yaml")} - {"none"})


def draw(layer: keras.layers.Layer) -> bytes:
    images = keras.ops.convert_to_tensor(np.arange(BATCH * SIDE * SIDE, dtype=np.float32).reshape(BATCH, SIDE, SIDE, 1))
    return np.array(layer(images, training=True)).tobytes()


@pytest.mark.parametrize("policy", RANDOM)
def test_an_epoch_draws_the_same_whatever_ran_before_and_another_epoch_or_seed_draws_others(
    policy: str, tmp_path: Path
) -> None:
    main(policy, str(tmp_path / "seen.npz"))
    _check(np.load(tmp_path / "seen.npz"), backend="tensorflow")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["medical", "randaugment", "mixup", "cutmix"])
def test_it_does_so_on_jax(policy: str, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    path = tmp_path / "seen.npz"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "seen", policy, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    _check(np.load(path), backend="jax")


def _check(found: np.lib.npyio.NpzFile, *, backend: str) -> None:
    assert found["backend"] == backend
    assert (found["second"] == found["alone"]).all()
    assert (found["first"] != found["other"]).any()
    assert (found["first"] != found["second"]).any()


def test_more_loaders_change_no_pixel() -> None:
    assert (seen(layers_of("medical"), workers=4)[1] == seen(layers_of("medical"))[1]).all()


def test_steps_of_an_epoch_draw_different_numbers() -> None:
    (layer,) = randaugment(name="test")
    reseed([layer], seed=0, epoch=0)
    assert draw(layer) != draw(layer)


def test_layers_inside_layers_are_seeded_too() -> None:
    found = []
    for number in (1, 2):
        random.seed(number)
        (layer,) = randaugment(name="test")
        reseed([layer], seed=0, epoch=3)
        found.append(draw(layer))
    assert found[0] == found[1]


def test_two_equal_layers_draw_different_numbers() -> None:
    first, second = keras.layers.GaussianNoise(0.5), keras.layers.GaussianNoise(0.5)
    reseed([first, second], seed=0, epoch=0)
    assert draw(first) != draw(second)


def test_a_network_drops_other_features_than_the_augmentation_would() -> None:
    layers = [keras.layers.GaussianNoise(0.5) for _ in range(2)]
    reseed(layers[:1], seed=0, epoch=0)
    reseed(layers[1:], seed=0, epoch=0, stream=1)
    assert draw(layers[0]) != draw(layers[1])
