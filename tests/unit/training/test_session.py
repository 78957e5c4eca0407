from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.training import session


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


def weights(seed: int) -> list[np.ndarray]:
    session.reset(seed=seed, precision="float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    return model.get_weights()


def test_the_same_seed_gives_the_same_initial_weights() -> None:
    for once, again in zip(weights(1), weights(1), strict=True):
        assert once.tobytes() == again.tobytes()


def test_another_seed_gives_other_initial_weights() -> None:
    assert (weights(1)[0] != weights(2)[0]).any()


def test_python_and_numpy_are_seeded_too() -> None:
    def drawn() -> tuple[float, float]:
        session.reset(seed=3, precision="float32")
        return random.random(), float(np.random.random())

    assert drawn() == drawn()


def test_names_of_layers_start_anew() -> None:
    def name() -> str:
        session.reset(seed=0, precision="float32")
        return keras.layers.Dense(1).name

    assert name() == name() == "dense"


def test_the_precision_is_that_of_the_layers_built_next() -> None:
    session.reset(seed=0, precision="mixed_bfloat16")
    layer = keras.layers.Dense(1)
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")


@pytest.mark.parametrize(
    ("precision", "computes"),
    [
        ("float32", "float32"),
        ("float16", "float16"),
        ("bfloat16", "bfloat16"),
        ("mixed_float16", "float16"),
        ("mixed_bfloat16", "bfloat16"),
    ],
)
def test_weights_are_float32_whatever_is_computed_in(precision: str, computes: str) -> None:
    session.reset(seed=0, precision=precision)
    layer = keras.layers.Dense(1)
    assert (layer.compute_dtype, layer.variable_dtype) == (computes, "float32")


def test_an_unknown_precision_is_refused_before_anything_is_forgotten() -> None:
    session.reset(seed=0, precision="float32")
    keras.layers.Dense(1)
    with pytest.raises(ConfigError, match=r"trainer\.precision.*'float64'.*Available: .*float32"):
        session.reset(seed=0, precision="float64")
    assert keras.layers.Dense(1).name == "dense_1"


def test_determinism_is_what_was_asked_for_last() -> None:
    from tensorflow.python.framework import config

    for wanted in (True, False, True):
        session.reset(seed=0, precision="float32", deterministic=wanted)
        assert config.is_op_determinism_enabled() is wanted


def test_the_backend_of_the_process_is_accepted(tmp_path: Path) -> None:
    session.load_backend(keras.backend.backend(), tmp_path / "run.log")
    assert keras.backend.backend() == "tensorflow"


def test_another_backend_is_refused_with_the_one_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot change.*backend=jax.*Override: runtime\.backend=tensorflow"):
        session.load_backend("jax", tmp_path / "run.log")


LOAD = """
import sys
from pathlib import Path
from medexp.errors import ConfigError
from medexp.training.session import load_backend
try:
    load_backend("jax", Path(sys.argv[1]))
except ConfigError as error:
    print(error)
"""


def test_a_backend_that_is_not_installed_is_named(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    command = [sys.executable, "-c", LOAD, str(tmp_path / "run.log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "The backend cannot be imported" in done.stdout
    assert "runtime.backend=tensorflow" in done.stdout


def test_nothing_of_an_earlier_model_stays_in_memory() -> None:
    def graphs() -> int:
        gc.collect()
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    def train() -> None:
        session.reset(seed=0, precision="float32")
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1, clipnorm=1.0), loss="mse")
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)

    train()
    session.reset(seed=0, precision="float32")
    before = graphs()
    for _ in range(3):
        train()
    session.reset(seed=0, precision="float32")
    assert graphs() <= before
