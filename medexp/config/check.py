"""Check a `_target_` node: the target exists and takes these keys with values of these kinds."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medexp.config.signature import Argument, read_signature

HYDRA_KEYS = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}
_NAMES: dict[str, Any] = {
    "Any": Any,
    "Literal": typing.Literal,
    "Optional": typing.Optional,
    "Union": typing.Union,
    "Mapping": Mapping,
    "Sequence": Sequence,
    "Path": Path,
}


def check_node(path: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each problem of the node at config path `path`; nested nodes are checked too."""
    target = node.get("_target_")
    if not isinstance(target, str):
        yield f"{path}: needs a _target_, the dotted path of what to build. Received: {target!r}."
        return
    try:
        signature = read_signature(target)
    except LookupError as error:
        yield f"{path}._target_: {error}. Received: {target}."
        return
    given = {key: value for key, value in node.items() if key not in HYDRA_KEYS}
    for key, value in given.items():
        argument = signature.arguments.get(key)
        if argument is not None:
            yield from _check_value(f"{path}.{key}", argument, value)
        elif not signature.open:
            near = difflib.get_close_matches(key, signature.arguments, n=1)
            hint = f"Did you mean {path}.{near[0]}?" if near else f"It takes: {', '.join(signature.arguments)}."
            yield f"{path}.{key}: {target} takes no such key. Received: {value!r}. {hint}"
    if not node.get("_partial_") and not node.get("_args_"):
        for argument in signature.arguments.values():
            if argument.required and argument.name not in given:
                yield f"{path}.{argument.name}: {target} needs it. Override: {path}.{argument.name}=..."


def _check_value(path: str, argument: Argument, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and "_target_" in value:
        yield from check_node(path, value)
    elif argument.annotation is not None:
        yield from _check_annotation(path, argument.annotation, value)
    elif isinstance(argument.default, int | float) and not isinstance(value, int | float | Mapping | None):
        kind = "true or false" if isinstance(argument.default, bool) else "a number"
        yield f"{path}: should be {kind}. Received: {value!r}. Override: {path}={argument.default}"


def _check_annotation(path: str, annotation: str, value: Any) -> Iterator[str]:
    from pydantic import TypeAdapter, ValidationError

    try:
        kind = eval(annotation, dict(_NAMES))  # noqa: S307  the source text of an annotation in an installed module
        adapter = TypeAdapter(kind)
    except Exception:  # a type that only its own module knows: the constructor checks it
        return
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        yield f"{path}: should be {annotation}. Received: {value!r}."
