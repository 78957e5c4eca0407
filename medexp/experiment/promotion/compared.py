"""Candidate and champion on the same test images."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from medexp.config.saved_data import saved_run
from medexp.config.schema import PathsConfig, TrainConfig
from medexp.config.schema_promote import ChampionConfig
from medexp.errors import DataError, MedexpError
from medexp.evaluation.comparison.paired import PairedDifference, paired_difference
from medexp.evaluation.predictions import Predictions
from medexp.experiment.promotion.rescored import rescored
from medexp.experiment.run_files import RunFiles
from medexp.registry.bundle import Bundle
from medexp.registry.candidates import Candidate
from medexp.registry.gates.facts import Paired

logger = logging.getLogger(__name__)
_NAMES = ("candidate", "champion")
_PREDICTIONS, _SPLIT, _CONFIG, _ENVIRONMENT = "predictions/test.csv", "split.csv", "config.yaml", "environment.json"


class Comparison:
    """Compares a candidate with the champion, whose bundle scores the candidate's images where it was tested on others.

    Args:
        files: of both.
        paths: of this program.
        uri: of the tracking store.
        how: metric, confidence, resamples.
    """

    def __init__(self, files: RunFiles, *, paths: PathsConfig, uri: str, how: ChampionConfig) -> None:
        self._files = files
        self._paths = paths
        self._uri = uri
        self._how = how

    def paired(self, candidate: Candidate, bundle: Bundle, champion: Candidate, champion_bundle: Bundle) -> Paired:
        """Return how the two compare.

        Raises:
            MedexpError: there is nothing to compare: no predictions, other classes, data that cannot be read here, or
                no images that the champion has not learnt from.
        """
        own = self._predictions(candidate, bundle)
        if candidate.digest == champion.digest:
            try:
                return self._of(own, bundle, self._predictions(champion, champion_bundle), champion_bundle)
            except MedexpError as error:
                logger.info("the champion's own predictions cannot be used: %s", error)
                why = "its own predictions are not here"
        else:
            why = f"it was tested on {champion.data} {champion.digest}"
        again = rescored(champion_bundle, self._config(candidate), split=self._split(champion))
        left_out = int(again.learnt.sum())
        if not left_out:
            found = self._of(own, bundle, again.predictions, champion_bundle)
            return replace(found, rescored=why)
        new = {key for key, learnt in zip(again.predictions.keys, again.learnt.tolist(), strict=True) if not learnt}
        rest, others = _only(own, new), _only(again.predictions, new)
        _require_something(rest, len(own.keys))
        return replace(self._of(rest, bundle, others, champion_bundle), rescored=why, left_out=left_out)

    def _of(self, a: Predictions, bundle: Bundle, b: Predictions, champion_bundle: Bundle) -> Paired:
        found = paired_difference(
            a,
            b,
            metric=self._how.metric,
            thresholds_a=bundle.passport.thresholds,
            thresholds_b=champion_bundle.passport.thresholds,
            resamples=self._how.resamples,
            confidence=self._how.confidence,
            power=self._how.power,
            names=_NAMES,
        )
        return _as_paired(found)

    def _predictions(self, of: Candidate, bundle: Bundle) -> Predictions:
        path = self._files.find(of.run_id, _PREDICTIONS)
        if path is None:
            raise DataError(
                f"The run has no predictions of its test images. Received: run {of.run_id} without {_PREDICTIONS}. "
                f"Evaluate it: python scripts/evaluate.py {of.trained_by}"
            )
        passport = bundle.passport
        return Predictions.read(path, "test", class_names=passport.class_names, task=passport.task)

    def _split(self, champion: Candidate) -> Path | None:
        for run_id in dict.fromkeys((champion.trained_by, champion.run_id)):
            if (path := self._files.find(run_id, _SPLIT)) is not None:
                return path
        logger.warning("the champion's split.csv is nowhere: it is not known which of these images it has learnt from")
        return None

    def _config(self, candidate: Candidate) -> TrainConfig:
        path = self._files.find(candidate.run_id, _CONFIG)
        if path is None:
            raise DataError(
                f"The candidate's data are not known: the champion cannot be scored on them. Received: run "
                f"{candidate.run_id} without {_CONFIG}."
            )
        self._files.find(candidate.run_id, _ENVIRONMENT)  # beside it: it says where relative paths began
        return saved_run(path.parent, paths=self._paths, uri=self._uri)


def _as_paired(found: PairedDifference) -> Paired:
    return Paired(
        metric=found.metric,
        candidate=found.a.value,
        champion=found.b.value,
        advantage=found.advantage,
        confidence=found.confidence,
        p_value=found.p_value,
        superior=found.better,
        images_needed=found.images_needed,
        p_better=found.p_better,
        images=found.images,
        units=found.units,
    )


def _only(predictions: Predictions, keys: set[str]) -> Predictions:
    return predictions.take(np.array([i for i, key in enumerate(predictions.keys) if key in keys], dtype=int))


def _require_something(rest: Predictions, images: int) -> None:
    """Enough images to tell a class from another must be left."""
    columns = rest.labels.T if rest.task == "multilabel" else [rest.labels]
    if any(len(np.unique(column)) < 2 for column in columns):
        raise DataError(
            f"The champion has learnt from these images: {images - len(rest.keys)} of {images} test images of the "
            "candidate were in its training or validation, and the rest cannot tell. Test both on images that neither "
            "has seen: python scripts/evaluate.py <run id> data=..."
        )
