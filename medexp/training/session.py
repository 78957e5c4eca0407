"""The state of the process that training depends on: backend, precision, seeds, determinism."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from medexp.errors import ConfigError, unknown
from medexp.logs import native_stderr_to

POLICIES = {
    "float32": "float32",
    "float16": "mixed_float16",
    "bfloat16": "mixed_bfloat16",
    "mixed_float16": "mixed_float16",
    "mixed_bfloat16": "mixed_bfloat16",
}


def load_backend(backend: str, native_log: Path, *, cpus: int = 1) -> None:
    """Import Keras on `backend`; what native libraries print meanwhile goes to the file `native_log`.

    Args:
        backend: of Keras.
        native_log: a text file.
        cpus: how many devices the processor is, for a training that names several of them (`trainer.devices`).

    Raises:
        ConfigError: Keras was imported before with another backend, which cannot change, or the backend is not
            installed; or the processor is fewer devices already.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
    try:
        with native_stderr_to(native_log):
            import keras

            if cpus > 1:
                _divide_processor(cpus)
            keras.ops.convert_to_tensor(0.0)  # looks for devices, and says so
    except ImportError as error:
        raise ConfigError(
            f"The backend cannot be imported ({error}). Received: runtime.backend={backend}. "
            "Install it, or use runtime.backend=tensorflow"
        ) from error
    if not gc.get_freeze_count():
        gc.freeze()  # what was imported stays: looking through it takes `clear_session` most of a second
    if keras.backend.backend() != backend:
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()} in this process and cannot change. "
            f"Received: runtime.backend={backend}. Override: runtime.backend={keras.backend.backend()}"
        )


def _divide_processor(cpus: int) -> None:
    """Make so many devices of the processor; possible only before the first operation of the process."""
    import keras

    try:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            (processor,) = tf.config.list_physical_devices("CPU")
            parts = [tf.config.LogicalDeviceConfiguration()] * cpus
            if len(tf.config.get_logical_device_configuration(processor) or ()) < cpus:
                tf.config.set_logical_device_configuration(processor, parts)
        elif keras.backend.backend() == "jax":
            import jax

            jax.config.update("jax_num_cpu_devices", cpus)
    except RuntimeError as error:
        raise ConfigError(
            f"trainer.devices: the processor is one device already in this process, and cannot be {cpus}. Received: "
            f"the name cpu:{cpus - 1}. Start a new process: such a training comes first in a sweep, or alone"
        ) from error


def policy(precision: str) -> str:
    """Return Keras' name of a precision: `float16` and `bfloat16` are of the layers' inputs, weights stay `float32`.

    Raises:
        ConfigError: another precision.
    """
    if precision not in POLICIES:
        raise ConfigError(f"trainer.precision: {unknown('precision', precision, POLICIES)}")
    return POLICIES[precision]


def reset(*, seed: int, precision: str, deterministic: bool = True) -> None:
    """Forget earlier models, set the precision policy, and seed Python, NumPy and the backend, in this order.

    Args:
        seed: of Python, NumPy and the backend.
        precision: see `policy`.
        deterministic: operations give the same bits each time. On a GPU TensorFlow then takes slower kernels for some,
            and refuses a few that have no other (`UnimplementedError`).

    Raises:
        ConfigError: an unknown precision.
    """
    import keras

    name = policy(precision)
    keras.utils.clear_session()
    keras.config.set_dtype_policy(name)
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        _set_op_determinism(deterministic)
        _forget_gradients()


def _set_op_determinism(wanted: bool) -> None:
    """Set what TensorFlow keeps for the whole process: a sweep may want it in one job and not in the next."""
    import tensorflow as tf
    from tensorflow.python.framework import config

    if wanted:
        tf.config.experimental.enable_op_determinism()
    else:
        config.disable_op_determinism()


def _forget_gradients() -> None:
    """Let go of the graphs of earlier models.

    `tf.custom_gradient`, which clips gradients, notes each function that it makes in a table of the process for ever,
    and with it the whole graph of the step: 10 MiB for each training of a small network.
    """
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    for name in [name for name in registry if name.startswith("CustomGradient-")]:
        del registry[name]
