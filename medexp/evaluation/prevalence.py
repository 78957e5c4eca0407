"""How common a finding is where the model will be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medexp.errors import ConfigError
from medexp.types import Task


def prevalence_by_class(
    prevalence: float | Mapping[str, float] | None, *, class_names: Sequence[str], task: Task
) -> dict[str, float]:
    """Return the stated prevalences by class name; empty where none is stated.

    Args:
        prevalence: of the positive class of a binary task; or by class name.
        class_names: of the data.
        task: what kind of labels.

    Raises:
        ConfigError: one number where there are several findings, or a class that is not there.
    """
    if prevalence is None:
        return {}
    if not isinstance(prevalence, Mapping):
        if task == "binary":
            return {class_names[1]: float(prevalence)}
        raise ConfigError(
            f"evaluation.prevalence: of which class? Received: {prevalence:g}. Available: {', '.join(class_names)}. "
            f"Override: 'evaluation.prevalence={{{class_names[-1]}: {prevalence:g}}}'"
        )
    if unknown := [name for name in prevalence if name not in class_names]:
        raise ConfigError(
            f"evaluation.prevalence: there is no such class. Received: {', '.join(unknown)}. Available: "
            f"{', '.join(class_names)}. Override: 'evaluation.prevalence={{{class_names[-1]}: 0.1}}'"
        )
    return {name: float(prevalence[name]) for name in class_names if name in prevalence}
