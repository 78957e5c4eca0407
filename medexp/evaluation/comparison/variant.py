"""What is compared: variants, each trained once or several times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medexp.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Repetition:
    """One training of a variant, with what it said of the test images.

    Args:
        run_id: of it.
        predictions: of the test split.
        thresholds: that `Predictions.decisions` takes.
        seed: of the training; empty where it is not known.
    """

    run_id: str
    predictions: Predictions
    thresholds: Mapping[str, float]
    seed: str = ""


@dataclass(frozen=True)
class Variant:
    """One choice of everything but the seed.

    Args:
        name: what tells it from the others, as overrides.
        repetitions: its trainings, at least one.
        chosen: whether it was chosen before anybody looked at the test split: the best by validation.
    """

    name: str
    repetitions: tuple[Repetition, ...]
    chosen: bool = False
