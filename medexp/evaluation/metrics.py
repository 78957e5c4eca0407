"""Metrics of one split's predictions, by scikit-learn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn import metrics as sk

from medexp.errors import DataError
from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.one_against_rest import Question, questions
from medexp.evaluation.predictions import Predictions

logger = logging.getLogger(__name__)


def classification_metrics(predictions: Predictions, *, thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return metrics named `<split>_<metric>`.

    All tasks: `auc` (area under the ROC curve: of the positive class of a binary task, else the mean over classes, one
    against rest, or over the cut points of an ordinal task), `accuracy`, `log_loss`.

    - binary and multi-class: `average_precision` (likewise), `balanced_accuracy`, `f1` (of the positive class, or the
      mean over classes); binary also `sensitivity`, `specificity`, and `brier`, the mean squared difference of
      probability and outcome.
    - multi-label: `accuracy` is the share of right answers, an answer for each image and class, and `log_loss` the mean
      over them; `subset_accuracy` the share of images with all answers right; `average_precision`, `f1` as above; and
      `auc/<class>`.
    - ordinal: of the most probable grade `balanced_accuracy`, `quadratic_kappa` (weighted by the squared distance of
      grades; Cohen, Psychol Bull 70:213, 1968) and `mean_absolute_error`, in grades.

    Means are over the classes or cut points of which both values occur; the log names the others.

    Args:
        predictions: of one split. Except for multi-label, every class occurs in it.
        thresholds: what `Predictions.decisions` takes.

    Raises:
        DataError: of no class do both values occur.
    """
    asked = questions(predictions)
    defined = [question for question in asked if question.defined]
    if len(defined) < len(asked):
        _say_undefined(predictions, asked, defined)
    found = {"auc": _mean(sk.roc_auc_score, defined)}
    decided = predictions.decisions(thresholds)
    if predictions.task == "multilabel":
        found |= _multilabel(predictions, decided, asked, defined)
    else:
        found |= {
            "accuracy": sk.accuracy_score(predictions.labels, decided),
            "balanced_accuracy": sk.balanced_accuracy_score(predictions.labels, decided),
            "log_loss": sk.log_loss(_one_hot(predictions), _normalised(predictions.probabilities)),
        }
        if predictions.task == "ordinal":
            found |= _ordinal(predictions.labels, decided, grades=len(predictions.class_names))
        else:
            found |= _nominal(predictions, decided, defined)
    return {f"{predictions.split}_{name}": float(value) for name, value in found.items()}


def _nominal(predictions: Predictions, decided: np.ndarray, defined: Sequence[Question]) -> dict[str, float]:
    labels = predictions.labels
    found = {"average_precision": _mean(sk.average_precision_score, defined)}
    if predictions.task == "multiclass":
        return found | {"f1": sk.f1_score(labels, decided, average="macro", zero_division=0.0)}
    return found | {
        "f1": sk.f1_score(labels, decided, zero_division=0.0),
        "sensitivity": sk.recall_score(labels, decided, pos_label=1),
        "specificity": sk.recall_score(labels, decided, pos_label=0),
        "brier": sk.brier_score_loss(labels, predictions.scores),
    }


def _multilabel(
    predictions: Predictions, decided: np.ndarray, asked: Sequence[Question], defined: Sequence[Question]
) -> dict[str, float]:
    each = [sk.log_loss(question.truth, question.scores, labels=[0, 1]) for question in asked]
    f1 = [
        sk.f1_score(question.truth, decided[:, i], zero_division=0.0)
        for i, question in enumerate(asked)
        if question.defined
    ]
    keys = metric_keys(predictions.class_names)
    return {
        "average_precision": _mean(sk.average_precision_score, defined),
        "accuracy": float((predictions.labels == decided).mean()),
        "subset_accuracy": float((predictions.labels == decided).all(axis=1).mean()),
        "f1": float(np.mean(f1)),
        "log_loss": float(np.mean(each)),
        **{f"auc/{keys[q.name]}": sk.roc_auc_score(q.truth, q.scores) for q in defined},
    }


def _ordinal(labels: np.ndarray, decided: np.ndarray, *, grades: int) -> dict[str, float]:
    return {
        "quadratic_kappa": sk.cohen_kappa_score(labels, decided, weights="quadratic", labels=range(grades)),
        "mean_absolute_error": float(np.abs(labels - decided).mean()),
    }


def _mean(score: Callable[[np.ndarray, np.ndarray], float], defined: Sequence[Question]) -> float:
    return float(np.mean([score(question.truth, question.scores) for question in defined]))


def _one_hot(predictions: Predictions) -> np.ndarray:
    return np.asarray(np.eye(len(predictions.class_names))[predictions.labels])


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    """Rows of float32 miss 1 by a rounding."""
    exact = probabilities.astype(np.float64)
    return np.asarray(exact / exact.sum(axis=1, keepdims=True))


def _say_undefined(predictions: Predictions, asked: Sequence[Question], defined: Sequence[Question]) -> None:
    missing = "; ".join(
        f"{q.name} ({'every' if q.truth.all() else 'no'} image)" for q in asked if not q.defined
    )  # fmt: skip
    if not defined:
        raise DataError(
            f"The {predictions.split} split cannot be scored: of no class has it images with and without. Received: "
            f"{missing}. Override: a larger data.split.{predictions.split}=..."
        )
    logger.warning(
        "%s: means are over %d of %d classes; of these one value only occurs: %s",
        predictions.split, len(defined), len(asked), missing,
    )  # fmt: skip
