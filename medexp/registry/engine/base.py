"""What every engine takes, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from medexp.errors import RegistryError
from medexp.imaging.scale import scale

IMAGE = "image"  # the name of a graph's input
PROBABILITIES, FEATURES, MAP = "probabilities", "features", "map"  # the names of its outputs


class MissingRuntimeError(RegistryError):
    """The library that runs this kind of graph is not installed."""


@dataclass(frozen=True)
class Outputs:
    """What one pass gives, `float32`.

    Args:
        probabilities: of each class, (batch, classes).
        features: the pooled feature vector of each image, (batch, d).
        map: class activation map, (batch, rows, columns, outputs); None for a network without one.
    """

    probabilities: np.ndarray
    features: np.ndarray
    map: np.ndarray | None = None


class Engine(Protocol):
    """A graph that is ready. Safe to call from several threads.

    `threads` is how many compute one answer; 0 leaves it to the engine.
    """

    kind: str

    def __init__(self, path: Path, *, threads: int = 0) -> None: ...

    def __call__(self, batch: np.ndarray) -> Outputs:
        """Return what the graph says of prepared pixels (batch, height, width, channels), `uint8` or `uint16`."""
        ...


def as_input(batch: np.ndarray) -> np.ndarray:
    """Return prepared pixels as a graph takes them: `float32`, 0 to 255."""
    return np.ascontiguousarray(scale(batch), dtype=np.float32)


def as_outputs(found: Mapping[str, np.ndarray]) -> Outputs:
    """Return a graph's outputs by name as `Outputs`."""
    return Outputs(found[PROBABILITIES], found[FEATURES], found.get(MAP))


def require_names(kind: str, path: Path, *, inputs: set[str], outputs: set[str]) -> None:
    """Raise RegistryError unless a graph has the one input and the outputs that serving needs."""
    if inputs != {IMAGE} or outputs - {MAP} != {PROBABILITIES, FEATURES}:
        raise RegistryError(
            f"The graph has not the inputs and outputs of a bundle. Received: {path} ({kind}) with inputs "
            f"{', '.join(sorted(inputs)) or 'none'} and outputs {', '.join(sorted(outputs)) or 'none'}; "
            f"wanted {IMAGE}, and {PROBABILITIES}, {FEATURES}. Train anew."
        )


def broken(kind: str, path: Path, error: Exception) -> RegistryError:
    """Return the error that says that a runtime refuses a graph."""
    reason = " ".join(str(error).split())[:300]
    return RegistryError(f"{kind} cannot run this graph. Received: {path} ({type(error).__name__}: {reason}).")


def missing(kind: str, package: str) -> MissingRuntimeError:
    """Return the error that says that a runtime is not installed."""
    return MissingRuntimeError(
        f"The runtime of this graph is not installed. Received: engine {kind}. Install it: pip install {package}"
    )
