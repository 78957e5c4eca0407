"""Fit on validation how probabilities have to be moved to be true."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medexp.evaluation.evidence import CalibrationSection
from medexp.evaluation.isotonic import IDENTITY, Knots, centred_isotonic
from medexp.evaluation.logits import activated, logits_of, of_classes
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.reliability import reliabilities
from medexp.evaluation.scaling import best_scales, best_temperature, platt
from medexp.types import Calibration

logger = logging.getLogger(__name__)
NONE = Calibration("none")


def fit_calibration(predictions: Predictions, *, method: str, logits: np.ndarray | None = None) -> Calibration:
    """Return how the logits or probabilities of a network become true ones, by its predictions of validation.

    Targets are not 0 and 1, but as far from these as the number of images can tell, 1 / (N + 2) (Platt, 1999; for K
    classes 1 / (N + K)): so that a network without mistakes on validation is not called infallible.

    - `temperature`: one scale for all logits. Ranks and most probable classes stay.
    - `vector`: scale and shift of each output, of exclusive classes of the logits less their mean. Ranks of a yes-or-no
      answer stay.
    - `isotonic`: `centred_isotonic` of each output; of several exclusive classes each against the rest, and then
      normalised. Ranks of a yes-or-no answer stay, but for roundings.

    Outputs that validation tells nothing of, for it has one answer only, or they rank no better than chance, stay as
    they are; the log names them. Where that is all of them, the method is `none`.

    Args:
        predictions: of validation, as the network was trained.
        method: `none`, `temperature`, `vector` or `isotonic`.
        logits: those of the network (n, outputs); None: regained from the probabilities (`logits_of`).
    """
    if method == "none":
        return NONE
    given = _centred(logits_of(predictions) if logits is None else logits, predictions)
    truth = _truth(predictions)
    told = np.array([(values == 1).any() and (values == 0).any() for values in truth.T])
    if not told.any() or (predictions.task == "multiclass" and told.sum() < 2):
        return _nothing(predictions, method, "every image has the same answer")
    if method == "temperature":
        if predictions.task == "multiclass":
            scale = best_temperature(given, _smoothed_classes(truth), task=predictions.task)
        else:
            scale = best_temperature(given[:, told], _smoothed(truth[:, told]), task=predictions.task)
        if scale is None:
            return _nothing(predictions, method, "the scores rank no better than chance")
        return Calibration("temperature", scale=(scale,) * len(told), shift=(0.0,) * len(told))
    _say_untold(predictions, ~told, "has one answer only")
    fit = _isotonic if method == "isotonic" else _vector
    return fit(predictions, given, truth, told)


def apply_calibration(
    predictions: Predictions, calibration: Calibration, *, logits: np.ndarray | None = None
) -> Predictions:
    """Return predictions with calibrated probabilities, `float32`, as the calibrated network says them.

    Within 1e-6 of `models.calibrated` where `logits` are given. Regained logits are as good, except where a yes-or-no
    probability is so close to 1, or so few images reach a grade, that single precision has lost digits of it.

    Args:
        predictions: as the network was trained.
        calibration: as fitted.
        logits: those of the network, as in `fit_calibration`.
    """
    if calibration.method == "none":
        return predictions
    given = _centred(logits_of(predictions) if logits is None else logits, predictions)
    if calibration.method == "isotonic":
        said = _said(predictions, given)
        curves = zip(said.T, calibration.knots, strict=True)
        outputs = np.stack([np.interp(values, *np.transpose(knots)) for values, knots in curves], axis=1)
    else:
        outputs = activated(given * np.array(calibration.scale) + np.array(calibration.shift), task=predictions.task)
    return replace(predictions, probabilities=of_classes(outputs, task=predictions.task).astype(np.float32))


def calibration_section(
    fitted: Calibration, *, before: Predictions, after: Predictions, resamples: int, confidence: float
) -> CalibrationSection:
    """Return how true probabilities of the test split were before and after calibration; the log says it in short."""
    found = reliabilities([before, after], resamples=resamples, confidence=confidence)
    logger.info(
        "calibration (%s): expected calibration error of %s %.4f before, %.4f after",
        fitted.method, after.split, found[0].ece.value, found[1].ece.value,
    )  # fmt: skip
    return CalibrationSection(fitted, *found)


def _centred(logits: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Of a softmax less their mean, which probabilities do not tell and scales of single classes would not cancel."""
    exact = logits.astype(np.float64)
    return exact - exact.mean(axis=1, keepdims=True) if predictions.task == "multiclass" else exact


def _said(predictions: Predictions, logits: np.ndarray) -> np.ndarray:
    """Probabilities of each output to the last bit, for curves may be steep; conditional ones by their logits."""
    if predictions.task == "ordinal":
        return activated(logits, task="ordinal")
    exact = predictions.probabilities.astype(np.float64)
    return exact[:, 1:] if predictions.task == "binary" else exact


def _truth(predictions: Predictions) -> np.ndarray:
    """Return what came true of each output, 0 or 1, (n, outputs); NaN where it is not asked: of grades not reached."""
    labels, classes = predictions.labels, len(predictions.class_names)
    if predictions.task == "multiclass":
        return np.asarray(np.eye(classes)[labels])
    if predictions.task == "ordinal":
        cuts, grade = np.arange(classes - 1), labels[:, np.newaxis]
        return np.where(grade >= cuts, (grade > cuts).astype(np.float64), np.nan)
    return labels.reshape(len(labels), -1).astype(np.float64)


def _smoothed(truth: np.ndarray) -> np.ndarray:
    """Platt's targets of one or more yes-or-no answers, of the same shape."""
    positive, negative = np.nansum(truth, axis=0), np.nansum(1 - truth, axis=0)
    return np.asarray(truth * (positive + 1) / (positive + 2) + (1 - truth) / (negative + 2))


def _smoothed_classes(truth: np.ndarray) -> np.ndarray:
    """The same of classes that exclude each other: rows sum to 1."""
    images = (truth * truth.sum(axis=0)).sum(axis=1, keepdims=True)  # of the class of each
    return np.asarray((truth * images + 1) / (images + truth.shape[1]))


def _vector(predictions: Predictions, logits: np.ndarray, truth: np.ndarray, told: np.ndarray) -> Calibration:
    outputs = len(told)
    scale, shift = np.ones(outputs), np.zeros(outputs)
    if predictions.task == "multiclass":
        found = best_scales(logits, _smoothed_classes(truth)) if told.all() else None
        if found is None:
            return _nothing(predictions, "vector", "a class is missing or scored no better than chance")
        scale, shift = found
    else:
        lost = np.zeros(outputs, dtype=bool)
        for i in np.flatnonzero(told):
            rows = ~np.isnan(truth[:, i])
            one = platt(logits[rows, i], _smoothed(truth[rows, i]))
            lost[i] = one is None
            scale[i], shift[i] = one or (1.0, 0.0)
        _say_untold(predictions, lost, "is ranked no better than by chance")
        if not (told & ~lost).any():
            return _nothing(predictions, "vector", "the scores rank no better than chance")
    return Calibration("vector", scale=tuple(map(float, scale)), shift=tuple(map(float, shift)))


def _isotonic(predictions: Predictions, logits: np.ndarray, truth: np.ndarray, told: np.ndarray) -> Calibration:
    said = _said(predictions, logits)
    knots: list[Knots] = []
    for i, useful in enumerate(told):
        rows = ~np.isnan(truth[:, i])
        knots.append(centred_isotonic(said[rows, i], _smoothed(truth[rows, i])) if useful else IDENTITY)
    flat = np.array([each == IDENTITY for each in knots])
    if flat.all():
        return _nothing(predictions, "isotonic", "the scores rank no better than chance")
    _say_untold(predictions, flat & told, "is ranked no better than by chance")
    return Calibration("isotonic", knots=tuple(knots))


def _nothing(predictions: Predictions, method: str, why: str) -> Calibration:
    logger.warning(
        "no %s scaling is fitted: on %s %s. Probabilities stay as the network says them",
        method, predictions.split, why,
    )  # fmt: skip
    return NONE


def _say_untold(predictions: Predictions, untold: np.ndarray, why: str) -> None:
    if untold.any():
        names = _output_names(predictions)
        which = ", ".join(name for name, lost in zip(names, untold, strict=True) if lost)
        logger.warning("not calibrated, for on %s it %s: %s", predictions.split, why, which)


def _output_names(predictions: Predictions) -> Sequence[str]:
    names = predictions.class_names
    if predictions.task == "binary":
        return names[1:]
    return [f"> {name}" for name in names[:-1]] if predictions.task == "ordinal" else names
