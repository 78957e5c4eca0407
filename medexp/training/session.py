"""The state of the process that training depends on: backend, precision, seeds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from medexp.errors import ConfigError
from medexp.logs import native_stderr_to


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
        with native_stderr_to(native_log):
            import keras

            keras.ops.convert_to_tensor(0.0)  # looks for devices, and says so
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
