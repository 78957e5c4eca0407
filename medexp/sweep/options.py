"""Options of Optuna's classes, checked against what their constructors say."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import NoneType
from typing import Any

from medexp.errors import ConfigError, unknown

_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str, "None": NoneType}


def check_options(
    path: str, target: type | None, options: Mapping[str, Any], *, of: str, without: frozenset[str] = frozenset()
) -> None:
    """Refuse what the constructor of `target` does not take, or not of this type.

    Args:
        path: where the options stand in the configuration.
        target: the class; None takes no options.
        options: by name.
        of: what the user calls it.
        without: arguments that are not for users.

    Raises:
        ConfigError: lists every problem.
    """
    known = _known(target, without)
    problems = []
    for key, value in options.items():
        if not known:
            problems.append(f"{path}.{key}: {of} has no options. Received: {value!r}. Override: ~{path}.{key}")
        elif key not in known:
            problems.append(f"{path}: {unknown(f'option of {of}', key, known)} Override: ~{path}.{key}")
        elif not any(_fits(value, kind) for kind in known[key]):
            names = " or ".join("null" if kind is NoneType else kind.__name__ for kind in known[key])
            problems.append(f"{path}.{key}: should be {names}. Received: {value!r}. Override: {path}.{key}=...")
    if problems:
        raise ConfigError("\n".join(problems))


def refused(path: str, options: Mapping[str, Any], error: Exception) -> ConfigError:
    """What a user reads when the constructor itself refuses."""
    return ConfigError(f"{path}: {str(error).rstrip('.')}. Received: {dict(options)!r}.")


def _known(target: type | None, without: frozenset[str]) -> dict[str, list[type]]:
    """The arguments that YAML can give, with their types: no functions and no objects."""
    known = {}
    for name, parameter in inspect.signature(target).parameters.items() if target is not None else ():
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        parts = [part.strip() for part in text.split("|")]
        if name not in without and all(part in _TYPES for part in parts):
            known[name] = [_TYPES[part] for part in parts]
    return known


def _fits(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
