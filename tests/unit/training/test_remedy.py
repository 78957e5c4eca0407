"""Errors as they really come, and what is said of them."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support import ROOT

from medexp.errors import DataError
from medexp.training.remedy import remedy


def caught(action: Callable[[], object]) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


class Failing(keras.utils.PyDataset):
    """Batches, and an error in the second."""

    def __init__(self, error: Exception, **more: int) -> None:
        super().__init__(**more)
        self._error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index == 3:
            raise self._error
        return np.zeros((2, 4), np.float32), np.zeros((2, 1), np.float32)


def fit(batches: keras.utils.PyDataset) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(batches, verbose=0)


@pytest.fixture(scope="module")
def exhausted() -> BaseException:
    """TensorFlow's own; its allocator tries for 10 seconds."""
    return caught(lambda: tf.zeros([1 << 40, 4]) + 1)


def test_memory_of_the_device_halves_the_batch_and_keeps_its_steps(exhausted: BaseException) -> None:
    assert type(exhausted).__name__ == "ResourceExhaustedError"
    text = remedy(exhausted, batch_size=32)
    assert text is not None
    assert "The device has no memory left" in text
    assert "data.batch_size=16, with optimizer.gradient_accumulation_steps=2" in text


def test_the_error_that_caused_another_is_found(exhausted: BaseException) -> None:
    def wrapped() -> None:
        raise RuntimeError("something failed") from exhausted

    assert "data.batch_size=16" in (remedy(caught(wrapped), batch_size=33) or "")


def test_a_batch_of_one_image_is_not_halved(exhausted: BaseException) -> None:
    text = remedy(exhausted, batch_size=1) or ""
    assert "data.input.height" in text
    assert "data.batch_size=0" not in text


def test_an_array_that_is_too_large_is_known() -> None:
    error = caught(lambda: np.zeros(1 << 50))
    assert type(error) is not MemoryError
    assert "The computer has no memory left. Override: a smaller data.batch_size" in (remedy(error) or "")


LIMITED = """
import resource, sys
from medexp.training.remedy import remedy
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
try:
    kept = [bytearray(50 << 20) for _ in range(100)]
except MemoryError as error:
    kept = None
    print(remedy(error, batch_size=8))
"""


def run(code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_process_out_of_memory_is_told_what_takes_less() -> None:
    assert "The computer has no memory left. Override: data.batch_size=4" in run(LIMITED)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table t(a)")
    connection.execute("insert into t values(?)", ("x" * 1_000_000,))
    connection.commit()


@pytest.mark.parametrize(
    ("write", "names_file"),
    [
        (lambda folder: tf.io.write_file(str(folder / "events"), "x" * 1_000_000), "events"),
        (lambda folder: np.save(folder / "a.npy", np.zeros(100_000)), ""),
        (lambda folder: database(folder / "mlflow.db"), ""),
    ],
    ids=["TensorFlow", "array", "database"],
)
def test_a_full_disk_is_named_with_what_is_free(write: Callable[[Path], None], names_file: str, full: Path) -> None:
    text = remedy(caught(lambda: write(full)), batch_size=32, outputs=full) or ""
    assert text.startswith(f"{full / names_file if names_file else full} cannot be written: the disk is full, ")
    assert " free. Make room, or override: paths.outputs=" in text
    assert "batch_size" not in text


WEIGHTS = """
import os, sys
import h5py, numpy
from medexp.training.remedy import remedy
try:
    h5py.File(sys.argv[1], "w")["kernel"] = numpy.zeros(100_000)
except OSError as error:
    print(remedy(error), flush=True)
os._exit(0)  # HDF5 would write the rest at the end, and crash
"""


def test_a_disk_that_is_full_of_weights_is_named(full: Path) -> None:
    path = full / "best.weights.h5"
    assert f"{path} cannot be written: the disk is full, " in run(WEIGHTS, str(path))


LIMIT = """
import resource, signal, sys
from medexp.training.remedy import remedy
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    open(sys.argv[1], "wb", buffering=0).write(bytes(1000)); open(sys.argv[1], "ab", buffering=0).write(bytes(1000))
except OSError as error:
    print(remedy(error))
"""


def test_a_limit_on_files_is_told_from_a_full_disk(tmp_path: Path) -> None:
    assert "a limit on the size of a file is reached (ulimit -f)" in run(LIMIT, str(tmp_path / "f"))


def test_a_quota_is_told_from_a_full_disk(tmp_path: Path) -> None:
    error = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(tmp_path / "f"))
    assert f"{tmp_path / 'f'} cannot be written: the quota is used up" in (remedy(error) or "")


OPEN = """
import resource
from medexp.training.remedy import remedy
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
kept = []
try:
    while True:
        kept.append(open("/dev/null"))
except OSError as error:
    [file.close() for file in kept]
    print(remedy(error))
"""


def test_too_many_open_files_are_known() -> None:
    assert "ulimit -n 8192" in run(OPEN)


@pytest.mark.parametrize("workers", [1, 3])
def test_what_a_batch_says_is_not_lost_in_the_graph(workers: int) -> None:
    said = "An image cannot be read. Received: scans/a b.png (truncated). Remove it"
    error = caught(lambda: fit(Failing(DataError(said), workers=workers)))
    assert not isinstance(error, DataError)
    assert remedy(error) == said


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    (path := tmp_path / "a.png").write_bytes(b"no image")
    text = remedy(caught(lambda: Image.open(path))) or ""
    assert str(path) in text
    assert "scripts/audit.py" in text


def test_a_file_that_went_away_is_named_wherever_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    error = caught(lambda: path.read_bytes())
    assert f"not there any more ({path})" in (remedy(error) or "")
    assert isinstance(error, OSError)
    assert f"not there any more ({path})" in (remedy(caught(lambda: fit(Failing(error)))) or "")


def test_numbers_that_are_none_name_the_precision() -> None:
    error = caught(lambda: tf.debugging.check_numerics(tf.constant(float("nan")), "loss"))
    assert "trainer.precision=float32" in (remedy(error) or "")


@pytest.mark.parametrize(
    "words",
    [
        "Could not load dynamic library 'libcudnn.so.9'; dlerror: libcudnn.so.9: cannot open shared object file",
        "DNN library is not found.",
        "CUDA driver version is insufficient for CUDA runtime version",
    ],
)
def test_a_library_of_the_gpu_that_is_missing_is_known(words: str) -> None:
    error = tf.errors.FailedPreconditionError(None, None, words)
    assert "pip install -e .[gpu]" in (remedy(error) or "")


def test_an_operation_without_a_deterministic_way_names_the_switch() -> None:
    words = "A deterministic GPU implementation of DepthwiseConvBackpropFilter is not currently available."
    assert "runtime.deterministic=false" in (remedy(tf.errors.UnimplementedError(None, None, words)) or "")


def test_memory_of_a_gpu_is_known_on_other_backends() -> None:
    error = RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.")
    assert "data.batch_size=128" in (remedy(error, batch_size=256) or "")


def test_of_what_is_not_known_nothing_is_said() -> None:
    assert remedy(ValueError("shapes do not fit"), batch_size=32) is None
    wrong_shape = caught(lambda: fit(Failing(ValueError("shapes do not fit"))))
    assert remedy(wrong_shape, batch_size=32) is None


def test_an_error_that_caused_itself_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert remedy(first) is None
