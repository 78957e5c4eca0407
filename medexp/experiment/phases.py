"""The phases of a training, from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medexp.config.instantiate import instantiate
from medexp.config.schema import TrainConfig

if TYPE_CHECKING:
    from medexp.training.phase import Phase


def phases(config: TrainConfig) -> tuple[Phase, ...]:
    """Return the phases in their order, each with new callbacks: those of all, patched by its own.

    Raises:
        ConfigError: a duration that is none, a callback that refuses its values.
    """
    from medexp.training.duration import Duration
    from medexp.training.phase import Phase

    return tuple(
        Phase(
            name=name,
            duration=Duration.parse(phase.duration, key=f"finetuning.phases.{name}.duration"),
            train=phase.train,
            batch_norm=phase.batch_norm,
            learning_rate=phase.learning_rate,
            start=phase.start,
            callbacks=tuple(
                instantiate(f"callbacks.{key}", node)
                for key, node in patched(config.callbacks, phase.callbacks).items()
                if node
            ),
        )
        for name, phase in config.finetuning.phases.items()
        if phase is not None
    )


def patched(
    callbacks: Mapping[str, dict[str, Any] | None], patches: Mapping[str, dict[str, Any] | None]
) -> dict[str, dict[str, Any] | None]:
    """Return `callbacks` with the keys of `patches` in place of theirs; None takes a callback away."""
    merged = dict(callbacks)
    for name, patch in patches.items():
        merged[name] = None if patch is None else {**(callbacks.get(name) or {}), **patch}
    return merged
