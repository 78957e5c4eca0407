"""Whether an exported graph may answer in place of Keras, and how long it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medexp.decision.decide import decide
from medexp.registry.engine.base import Engine, Outputs
from medexp.types import DataSpec

TOLERANCE = 1e-5  # largest difference in probability between Keras and an exported graph
_OTHERS = 1e-3  # of features and maps: of their largest value
_BATCHES = (1, 8)
_RUNS, _FEWEST, _SECONDS = 15, 5, 1.0  # of each engine and batch: as many runs as fit into the time, five at least


@dataclass(frozen=True)
class Agreement:
    """How far a graph is from Keras.

    Args:
        difference: largest difference in probability, over single images and a batch of all.
        batch_difference: largest difference in probability between an image alone and the same in a batch.
        flips: images (multi-label: findings) whose decision is not that of Keras.
        why_not: why it must not answer; None where it may.
    """

    difference: float
    batch_difference: float
    flips: int
    why_not: str | None


def compare(
    engine: Engine, wanted: Outputs, images: np.ndarray, *, data: DataSpec, thresholds: Mapping[str, float]
) -> Agreement:
    """Compare a graph with Keras, image by image and in a batch.

    Args:
        engine: the graph.
        wanted: what Keras says of `images`.
        images: prepared, (n, height, width, channels).
        data: says the task.
        thresholds: of the operating point, by class name.
    """
    single = _joined([engine(images[i : i + 1]) for i in range(len(images))])
    together = engine(images)
    differences = [_apart(found.probabilities, wanted.probabilities) for found in (single, together)]
    flips = max(_flips(found, wanted, data, thresholds) for found in (single, together))
    difference = float(np.max(differences))  # NaN where one is
    return Agreement(
        difference=difference,
        batch_difference=_apart(single.probabilities, together.probabilities),
        flips=flips,
        why_not=_why_not(difference, flips, single, together, wanted),
    )


def milliseconds(engines: Mapping[str, Engine], image: np.ndarray) -> dict[str, dict[str, float]]:
    """Return how long each engine takes, by its name: the median of a batch of `1` and of `8` images.

    They take turns, so that a slow moment of the machine meets all of them.

    Args:
        engines: by name.
        image: prepared, (height, width, channels).
    """
    found: dict[str, dict[str, float]] = {name: {} for name in engines}
    for size in _BATCHES:
        batch = np.repeat(image[np.newaxis], size, axis=0)
        for name, taken in _in_turns(engines, batch).items():
            found[name][str(size)] = round(statistics.median(taken), 3)
    return found


def _in_turns(engines: Mapping[str, Engine], batch: np.ndarray) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine(batch)  # the first answer is the slowest
    end = time.perf_counter() + _SECONDS * len(engines)
    for turn in range(_RUNS):
        if turn >= _FEWEST and time.perf_counter() > end:
            break
        for name, engine in engines.items():
            start = time.perf_counter()
            engine(batch)
            taken[name].append(1000 * (time.perf_counter() - start))
    return taken


def _flips(found: Outputs, wanted: Outputs, data: DataSpec, thresholds: Mapping[str, float]) -> int:
    if found.probabilities.shape != wanted.probabilities.shape:
        return len(wanted.probabilities)
    here, there = (
        decide(said.probabilities, task=data.task, class_names=data.class_names, thresholds=thresholds)
        for said in (found, wanted)
    )
    return int((here != there).sum())


def _why_not(difference: float, flips: int, single: Outputs, together: Outputs, wanted: Outputs) -> str | None:
    if not difference <= TOLERANCE:
        return f"probabilities differ by up to {difference:.2g}, allowed is {TOLERANCE:g}"
    if flips:
        return f"{flips} decisions differ"
    for found in (single, together):
        if not _near(found.features, wanted.features):
            return "features differ"
        if (found.map is None) != (wanted.map is None):
            return "the class activation map is missing"
        if found.map is not None and wanted.map is not None and not _near(found.map, wanted.map):
            return "class activation maps differ"
    return None


def _near(found: np.ndarray, wanted: np.ndarray) -> bool:
    return _apart(found, wanted) <= _OTHERS * max(float(np.abs(wanted).max()), 1e-6)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference; infinite where shapes differ, which NumPy might make equal."""
    return float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")


def _joined(parts: list[Outputs]) -> Outputs:
    maps = [part.map for part in parts if part.map is not None]
    return Outputs(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate(maps) if maps else None,
    )
