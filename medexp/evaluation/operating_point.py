"""Choose operating points on validation data for a stated aim; 0.5 is not one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medexp.decision.operating_point import Achieved, OperatingPoint
from medexp.errors import DataError
from medexp.evaluation.aim import MOST_PROBABLE, YOUDEN, Aim
from medexp.evaluation.bootstrap import resampling_weights
from medexp.evaluation.one_against_rest import Question, questions
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.roc_points import RocPoints
from medexp.evaluation.share import Share
from medexp.types import Estimate

logger = logging.getLogger(__name__)
_ENOUGH = 200  # bootstrap samples for a mean (Efron and Tibshirani, 1993, section 6.4)


def choose_thresholds(predictions: Predictions, *, aim: str) -> dict[str, float]:
    """Return the thresholds of `choose_operating_point` alone."""
    return {name: choice.threshold for name, choice in _choices(predictions, Aim.parse(aim)).items()}


def choose_operating_point(predictions: Predictions, *, aim: str, resamples: int, confidence: float) -> OperatingPoint:
    """Choose the thresholds that serve `aim`: of the positive class of a binary task, of each one of a multi-label one.

    A threshold lies halfway between the lowest score called positive and the highest called negative, so that a score
    moved by rounding keeps its side; it has double precision, for halfway between neighbouring `float32` there is no
    `float32`. A sensitivity that only calling every image positive has, and a specificity that only calling none
    positive has, is not met; the log says so.

    The thresholds are the best for these very images, and so do better on them than on others. The achieved numbers are
    those of these images, as counted. Their intervals are for other images: about the number less what the bootstrap
    says of this optimism (choosing in each sample, trying on the split; Efron, J Am Stat Assoc 78:316, 1983), wider
    where images of one patient agree.

    The answer of the other tasks is the most probable class: they have no thresholds, and the aim has no effect.

    Args:
        predictions: of validation, calibrated.
        aim: as `Aim.parse` reads it.
        resamples: bootstrap samples; 200 are used at most. 0: no intervals.
        confidence: of the intervals.

    Raises:
        ConfigError: no such aim.
        DataError: a binary validation split without positive or negative images.
    """
    wanted = Aim.parse(aim)
    told = confidence if resamples else None
    if predictions.task not in ("binary", "multilabel"):
        if wanted.kind != YOUDEN:
            logger.warning("the operating point %s has no meaning for a %s task", aim, predictions.task)
        decided = predictions.decisions({})
        every = [_achieved(predictions, predictions.labels == i, decided == i, told) for i in _classes(predictions)]
        named = zip(predictions.class_names, every, strict=True)
        return OperatingPoint(MOST_PROBABLE, {}, {name: each for name, each in named if each is not None})
    choices = _choices(predictions, wanted)
    achieved: dict[str, Achieved] = {}
    for question in questions(predictions):
        choice = choices[question.name]
        if choice.points is not None:
            optimism = _optimism(predictions, choice.points, choice.point, wanted, min(resamples, _ENOUGH))
            called = question.scores >= choice.threshold
            found = _achieved(predictions, question.truth == 1, called, told, optimism)
            achieved |= {question.name: found} if found is not None else {}
    if missed := [name for name, choice in choices.items() if not choice.met]:
        logger.warning("%s: no threshold reaches %s for %s", predictions.split, aim, ", ".join(missed))
    return OperatingPoint(
        aim.replace(" ", ""), {name: c.threshold for name, c in choices.items()}, achieved, met=not missed
    )


@dataclass(frozen=True)
class _Choice:
    """`points` is None for a class that validation tells nothing of."""

    threshold: float
    met: bool
    points: RocPoints | None = None
    point: int = 0


def _choices(predictions: Predictions, aim: Aim) -> Mapping[str, _Choice]:
    if predictions.task not in ("binary", "multilabel"):
        return {}
    return {question.name: _choice(predictions, question, aim) for question in questions(predictions)}


def _choice(predictions: Predictions, question: Question, aim: Aim) -> _Choice:
    if not question.defined:
        return _untold(predictions, question)
    points = RocPoints(question.truth, question.scores)
    point = int(points.chosen(aim, points.sensitivity[None], points.specificity[None])[0])
    sensitivity, specificity = points.sensitivity[point], points.specificity[point]
    reached = {"sensitivity": sensitivity, "specificity": specificity}.get(aim.kind, aim.value)
    met = bool(reached >= aim.value - 1e-12) and (aim.kind != "sensitivity" or specificity > 0)
    return _Choice(float(points.thresholds[point]), met, points, point)


def _untold(predictions: Predictions, question: Question) -> _Choice:
    """A class that all images have, or none: all are called what they are, by a threshold halfway to the end."""
    every = bool(question.truth.all())
    if predictions.task == "binary":
        missing, there = ("negative", "positive") if every else ("positive", "negative")
        raise DataError(
            f"No operating point can be chosen: the {predictions.split} split has no {missing} image. Received: "
            f"{len(question.truth)} {there} images. Override: a larger data.split.{predictions.split}=..."
        )
    threshold = float(question.scores.min() / 2 if every else (question.scores.max() + 1) / 2)
    logger.warning(
        "%s tells no threshold of %s, which %s image has: %.3f is taken, with all of them on one side",
        predictions.split, question.name, "every" if every else "no", threshold,
    )  # fmt: skip
    return _Choice(threshold, met=False)


def _optimism(predictions: Predictions, points: RocPoints, point: int, aim: Aim, resamples: int) -> tuple[float, float]:
    """By how much sensitivity and specificity are expected to be too high."""
    labels = predictions.labels
    differences: list[np.ndarray] = []
    for weights in resampling_weights(labels, predictions.groups, resamples=resamples, seed=0, stratify=True):
        found = points.shares(weights)
        usable = np.isfinite(found[0][:, -1]) & np.isfinite(found[1][:, -1])
        found = found[0][usable], found[1][usable]
        if not usable.any():
            continue
        chosen = points.chosen(aim, *found)[:, None]
        inside = np.concatenate([np.take_along_axis(each, chosen, axis=1) for each in found], axis=1)
        outside = np.concatenate([points.sensitivity[chosen], points.specificity[chosen]], axis=1)
        differences.append(inside - outside)
    if not differences:
        return 0.0, 0.0
    sensitivity, specificity = np.concatenate(differences).mean(axis=0)
    return float(sensitivity), float(specificity)


def _achieved(
    predictions: Predictions,
    truth: np.ndarray,
    called: np.ndarray,
    confidence: float | None,
    optimism: tuple[float, float] = (0.0, 0.0),
) -> Achieved | None:
    """Sensitivity and specificity of one class; None where one cannot be told."""
    if truth.all() or not truth.any():
        return None
    groups = None if predictions.groups is None else np.asarray(predictions.groups)
    found: list[Estimate] = []
    for hits, rows, much in ((called, truth, optimism[0]), (~called, ~truth, optimism[1])):
        share = Share.of(hits[rows], None if groups is None else groups[rows])
        one = share.estimate(confidence=confidence, optimism=much) if confidence is not None else None
        found.append(one or Estimate(share.value, share.value, share.value))
    return Achieved(*found)


def _classes(predictions: Predictions) -> range:
    return range(len(predictions.class_names))
