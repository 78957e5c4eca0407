"""An augmentation policy, and whether a data set allows it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import keras

from medexp.data.changes import FACTS, Change, changes_of
from medexp.errors import ConfigError
from medexp.types import Invariances

logger = logging.getLogger(__name__)
OnConflict = Literal["refuse", "drop"]


@dataclass(frozen=True)
class Policy:
    """Layers that images pass while a network is trained, in this order.

    Args:
        name: of the policy.
        layers: from float images (batch, height, width, channels), 0 to 255, to the same. `keras.layers.MixUp` and
            `CutMix` mix the targets too.
        on_conflict: what happens to a layer that breaks a declared invariance: `refuse` it and train nothing, or
            `drop` it and train without.
    """

    name: str
    layers: tuple[keras.layers.Layer, ...]
    on_conflict: OnConflict = "refuse"

    def __iter__(self) -> Iterator[keras.layers.Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


def allowed(policy: Policy | Sequence[keras.layers.Layer], invariances: Invariances) -> tuple[keras.layers.Layer, ...]:
    """Return the layers of `policy` that may be applied to images with these invariances.

    Args:
        policy: a Policy, or the layers alone (which are refused, not dropped, where they conflict).
        invariances: what the data set declares.

    Raises:
        ConfigError: a layer breaks one and the policy refuses it, or no one says what a layer changes. Lists all.
    """
    droppable = isinstance(policy, Policy)
    if not isinstance(policy, Policy):
        policy = Policy("of your own", tuple(policy))
    declared = {fact: value for fact, value in asdict(invariances).items() if value != "free"}
    if not declared:
        return policy.layers
    kept: list[keras.layers.Layer] = []
    problems: list[str] = []
    for layer in policy.layers:
        changes = changes_of(layer)
        if changes is None:
            problems.append(_undeclared(layer, declared))
            continue
        broken = [change for change in changes if change.fact in declared]
        if broken and policy.on_conflict == "drop":
            rest = layer.without({change.fact for change in broken}) if hasattr(layer, "without") else None
            logger.warning("augmentation %s: left out %s", policy.name, "; ".join(_said(c, layer) for c in broken))
            kept += [rest] if rest is not None else []
            continue
        problems += [_said(change, layer) + f" ({_mend(change, declared)})" for change in broken]
        kept.append(layer)
    if problems:
        facts = ", ".join(f"data.invariances.{fact}={value}" for fact, value in declared.items())
        listed = "".join(f"\n  {number}. {problem}." for number, problem in enumerate(problems, 1))
        drop = "augmentation.on_conflict=drop to train without, or " if droppable else ""
        raise ConfigError(
            f"The augmentation {policy.name} changes what is declared to be a fact about these images:{listed}\n"
            f"Received: {facts}. Override: what is named above, or {drop}data.aug=none"
        )
    return tuple(kept)


def _said(change: Change, layer: keras.layers.Layer) -> str:
    return f"{layer.name} breaks {change.fact}: {change.what}"


def _mend(change: Change, declared: dict[str, str]) -> str:
    free = f"data.invariances.{change.fact}=free"
    return f"{change.override}, or {free}" if change.override else free


def _undeclared(layer: keras.layers.Layer, declared: dict[str, str]) -> str:
    return (
        f"{layer.name} ({type(layer).__name__}) does not say what it changes: give it an attribute `changes`, "
        f"those of {', '.join(FACTS)} that it changes, () for none"
    )
