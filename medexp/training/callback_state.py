"""What a callback remembers, as JSON and arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from medexp.errors import TrainingError

Arrays = dict[str, np.ndarray]
_NOT_STATE = {
    "_model", "params", "validation_data",  # of the fit, not of the training
    "monitor_op",  # Keras makes it of `mode`
    "append_header",  # CSVLogger looks into its file
}  # fmt: skip


class _NotPlainError(TypeError):
    """Neither JSON nor arrays can hold it."""


def capture_callback(callback: keras.callbacks.Callback, *, prefix: str, arrays: Arrays) -> dict[str, Any]:
    """Return the state of a callback as JSON, with its arrays in `arrays` under names that begin with `prefix`.

    It is what `get_state()` returns where the callback has that; else each attribute that is a number, a text, an
    array, or a list, tuple or dictionary of them, however deep. What a constructor of Keras' own is given is not state:
    the configuration has it, and `min_delta` is negated by each fit that comes to a new callback.

    Raises:
        TrainingError: `get_state()` returns something else.
    """
    found = {}
    for name, value in _attributes(callback).items():
        try:
            found[name] = _pack(value, f"{prefix}/{name}", arrays)
        except _NotPlainError as error:
            if hasattr(callback, "get_state"):
                raise TrainingError(
                    f"The state of callback {type(callback).__name__} cannot be in a checkpoint. Received: {name}, a "
                    f"{error}. Return numbers, texts, arrays, and lists or dictionaries of them from get_state()"
                ) from error
    return found


def restore_callback(callback: keras.callbacks.Callback, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Put back what `capture_callback` took, by `set_state()` where the callback has that."""
    values = {name: _unpack(value, arrays) for name, value in state.items()}
    if hasattr(callback, "set_state"):
        callback.set_state(values)
    else:
        for name, value in values.items():
            setattr(callback, name, value)


def left_out(callback: keras.callbacks.Callback) -> list[str]:
    """The attributes of a callback that are not part of its state; none of Keras' own, and where it says so itself."""
    if _is_of_keras(type(callback)) or hasattr(callback, "get_state"):
        return []
    names = []
    for name, value in _attributes(callback).items():
        try:
            _pack(value, name, {})
        except _NotPlainError:
            names.append(name)
    return names


def _attributes(callback: keras.callbacks.Callback) -> dict[str, Any]:
    if hasattr(callback, "get_state"):
        return dict(callback.get_state())
    kinds = [kind for kind in type(callback).__mro__ if _is_of_keras(kind)]
    given = {name for kind in kinds for name in inspect.signature(kind).parameters}
    return {name: value for name, value in vars(callback).items() if name not in given | _NOT_STATE}


def _is_of_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "keras"


def _pack(value: Any, name: str, arrays: Arrays) -> Any:
    """Return JSON that stands for a value; what JSON does not know is {kind: ...}."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufcSU":
        arrays[name] = np.array(value)
        return {"array" if isinstance(value, np.ndarray) else "number": name}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        parts = [_pack(part, f"{name}/{place}", arrays) for place, part in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    if type(value) is dict:
        return {"dict": _pack([list(item) for item in value.items()], name, arrays)}
    if keras.ops.is_tensor(value) and not isinstance(value, keras.Variable):
        return {"tensor": _pack(keras.ops.convert_to_numpy(value), name, arrays)}
    raise _NotPlainError(type(value).__name__)


def _unpack(value: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpack(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content].copy()
    if kind == "number":
        return arrays[content][()]
    content = _unpack(content, arrays)
    if kind == "tensor":
        return keras.ops.convert_to_tensor(content)
    return tuple(content) if kind == "tuple" else dict(content)
