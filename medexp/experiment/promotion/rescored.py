"""Score a champion again: its bundle on the test images of a candidate."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medexp.config.schema import InputConfig, TrainConfig
from medexp.errors import DataError
from medexp.evaluation.predictions import Predictions
from medexp.experiment.data import data_module
from medexp.registry.bundle import Bundle

_BATCH = 32
_DIGITS = 16  # of the SHA-256 of an image, in a split.csv


@dataclass(frozen=True)
class Rescored:
    """What a champion says of the test images of a candidate.

    Args:
        predictions: of all of them.
        learnt: bool (n,), images that the champion was trained or validated on: of these it knows the answer.
    """

    predictions: Predictions
    learnt: np.ndarray


def rescored(bundle: Bundle, config: TrainConfig, *, split: Path | None) -> Rescored:
    """Predict the test images of `config` with the champion's bundle, their pixels prepared as it wants them.

    Args:
        bundle: of the champion.
        config: of the candidate's run.
        split: the `split.csv` of the champion's run; None where it is nowhere: nothing is then known of what it learnt.

    Raises:
        DataError: other classes, or the data cannot be read here.
    """
    passport = bundle.passport
    pixels = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(passport.input).items()}
    known = {"input": InputConfig.model_validate(pixels)}
    data = data_module(config.data.model_copy(update=known), seed=config.seed)
    data.prepare()
    spec = data.setup()
    if (spec.task, spec.class_names) != (passport.task, passport.class_names):
        raise DataError(
            f"The champion answers another question. Received: {passport.task} of {', '.join(passport.class_names)}, "
            f"the candidate {spec.task} of {', '.join(spec.class_names)}."
        )
    part = data.examples("test")
    places = np.arange(len(part.keys))
    probabilities = np.concatenate(
        [bundle.probabilities(data.images("test", some)) for some in np.array_split(places, -(-len(places) // _BATCH))]
    )
    predictions = Predictions(
        "test", part.keys, part.labels, probabilities, spec.class_names, spec.task, part.groups, part.metadata
    )
    dataset = data.load()
    content = dataset.facts.content[dataset.rows("test")].tolist()
    known_to_it = set() if split is None else _learnt(split)
    return Rescored(predictions, np.array([text[:_DIGITS] in known_to_it for text in content], dtype=bool))


def _learnt(path: Path) -> set[str]:
    """The contents that a run was trained or validated on."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return {row["content"] for row in csv.DictReader(file) if row["split"] in ("train", "val") and row["content"]}
