"""The function that `search.condition` names."""

from __future__ import annotations

import importlib
import inspect
from typing import cast

from medexp.errors import ConfigError, unknown
from medexp.sweep.space import Condition

EXAMPLE = "medexp.sweep.conditions.momentum_with_sgd"


def load_condition(path: str) -> Condition:
    """Return the function with the dotted path `package.module.function`.

    Raises:
        ConfigError: there is none, or it does not take a trial and a space.
    """
    received = f"Received: search.condition={path}."
    module, _, name = path.rpartition(".")
    if not module:
        raise ConfigError(
            f"search.condition: names a function of a module. {received} Override: search.condition={EXAMPLE}"
        )
    try:
        loaded = importlib.import_module(module)
    except Exception as error:  # it may fail in any way: it is the user's own
        raise ConfigError(
            f"search.condition: the module {module} cannot be imported ({type(error).__name__}: {error}). {received} "
            "It must lie where Python looks: in an installed package, or in a folder of PYTHONPATH"
        ) from error
    if not hasattr(loaded, name):
        there = [key for key, value in vars(loaded).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise ConfigError(f"search.condition: {unknown(f'function of {module}', name, there)}")
    condition = getattr(loaded, name)
    try:
        inspect.signature(condition).bind(None, None)
    except TypeError as error:
        raise ConfigError(
            f"search.condition: takes a trial and a space, condition(trial, space). {received}"
        ) from error
    return cast(Condition, condition)
