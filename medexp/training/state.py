"""All that decides how a training goes on: taken out of a running fit, and put back into another."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from medexp.errors import TrainingError
from medexp.training.callback_state import Arrays, capture_callback, restore_callback


@dataclass(frozen=True, order=True)
class Position:
    """Where a training stands: `step` batches of epoch `epoch` (from 0, of the whole training) are done."""

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds.

    Args:
        position: where the training stands.
        arrays: weights, optimizer (moments, moving average, accumulated gradients, loss scale, learning rate),
            metrics, states of seed generators, and arrays that callbacks hold.
        facts: what fits into JSON: the phase, Python's and NumPy's random numbers, callbacks, the history.
    """

    position: Position
    arrays: Arrays
    facts: dict[str, Any] = field(default_factory=dict)


def capture(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> tuple[Arrays, dict[str, Any]]:
    """Return copies of the state of a compiled model, of its callbacks and of all random numbers.

    Raises:
        TrainingError: a callback's `get_state()` returns what a checkpoint cannot hold.
    """
    arrays = {name: keras.ops.convert_to_numpy(variable).copy() for name, variable in _variables(model)}
    states = [
        {
            "class": type(callback).__name__,
            "state": capture_callback(callback, prefix=f"callback/{index}", arrays=arrays),
        }
        for index, callback in enumerate(callbacks)
    ]
    version, numbers, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    arrays["random/numpy"] = np.asarray(keys).copy()
    facts = {
        "callbacks": states,
        "random": {"python": [version, list(numbers), gauss], "numpy": [kind, place, has_gauss, cached]},
    }
    return arrays, facts


def restore(state: TrainingState, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Put back what `capture` took, into a model compiled in the same way and callbacks of the same kinds.

    Raises:
        TrainingError: the state is of another network, optimizer or set of callbacks.
    """
    wanted = dict(_variables(model))
    held = {name: value for name, value in state.arrays.items() if name.partition("/")[0] in _GROUPS}
    strange = sorted(wanted.keys() ^ held.keys())
    strange += [name for name in wanted.keys() & held.keys() if tuple(wanted[name].shape) != held[name].shape]
    kinds = [saved["class"] for saved in state.facts["callbacks"]]
    if kinds != [type(callback).__name__ for callback in callbacks]:
        strange.append(f"callbacks {', '.join(kinds)}")
    if strange:
        raise TrainingError(
            f"The checkpoint is of another training. Received: {len(strange)} things that do not fit, the first: "
            f"{strange[0]}. Was the code changed since? Check out the commit of the run, or start a new one"
        )
    for name, variable in wanted.items():
        variable.assign(held[name])
    for callback, saved in zip(callbacks, state.facts["callbacks"], strict=True):
        restore_callback(callback, saved["state"], state.arrays)
    version, numbers, gauss = state.facts["random"]["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, place, has_gauss, cached = state.facts["random"]["numpy"]
    np.random.set_state((kind, state.arrays["random/numpy"], place, has_gauss, cached))


def is_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether every weight and every number of the optimizer is one."""
    return all(
        bool(np.isfinite(array).all())
        for name, array in arrays.items()
        if name.startswith(("model/", "optimizer/")) and array.dtype.kind == "f"
    )


_GROUPS = ("model", "optimizer", "metric", "seeds")


def _variables(model: keras.Model) -> Iterable[tuple[str, Any]]:
    from keras.src.random.seed_generator import global_seed_generator

    groups = (model.variables, model.optimizer.variables, model.metrics_variables, [global_seed_generator().state])
    for group, variables in zip(_GROUPS, groups, strict=True):
        for index, variable in enumerate(variables):
            yield f"{group}/{index:04d}/{variable.name}", variable  # a path has counters of the process in it
