"""The state of the process that training depends on: backend, precision, seeds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medexp.errors import ConfigError


def load_backend(backend: str, native_log: Path) -> None:
    """Import Keras on `backend`; what native libraries print meanwhile goes to the file `native_log`.

    Raises:
        ConfigError: Keras was imported before with another backend, which cannot change, or the backend is not
            installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
    try:
        with _stderr_to(native_log):
            import keras
    except ImportError as error:
        raise ConfigError(
            f"The backend cannot be imported ({error}). Received: runtime.backend={backend}. "
            "Install it, or use runtime.backend=tensorflow"
        ) from error
    if keras.backend.backend() != backend:
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()} in this process and cannot change. "
            f"Received: runtime.backend={backend}. Override: runtime.backend={keras.backend.backend()}"
        )


def reset(*, seed: int, precision: str) -> None:
    """Forget earlier models, set the precision policy, and seed Python, NumPy and the backend, in this order."""
    import keras

    keras.utils.clear_session()
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)


@contextmanager
def _stderr_to(path: Path) -> Iterator[None]:
    """Append what is written to file descriptor 2 to `path`: TensorFlow greets there before it can be told not to."""
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
