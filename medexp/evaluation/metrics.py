"""Metrics of one split's predictions, by scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from medexp.evaluation.predictions import Predictions


def classification_metrics(predictions: Predictions, *, threshold: float | None) -> dict[str, float]:
    """Return metrics named `<split>_<metric>`.

    All tasks: `auc` (area under the ROC curve; the mean over classes, one against rest, where there are more
    than two), `average_precision` (likewise), `accuracy`, `balanced_accuracy`, `f1` (of the positive class, or
    the mean over classes), `log_loss`. Binary tasks also: `sensitivity`, `specificity`, and `brier`, the mean
    squared difference of probability and outcome.

    Args:
        predictions: of one split; every class occurs in it.
        threshold: decides a binary task; None takes the most probable class.
    """
    labels = predictions.labels
    decided = predictions.decisions(threshold)
    truth = np.eye(len(predictions.class_names))[labels]
    probabilities = predictions.probabilities.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 rows miss 1 by a rounding
    found = {
        "accuracy": sk.accuracy_score(labels, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, decided),
        "log_loss": sk.log_loss(truth, probabilities),
    }
    if predictions.binary:
        found |= {
            "auc": sk.roc_auc_score(labels, predictions.scores),
            "average_precision": sk.average_precision_score(labels, predictions.scores),
            "f1": sk.f1_score(labels, decided, zero_division=0.0),
            "sensitivity": sk.recall_score(labels, decided, pos_label=1),
            "specificity": sk.recall_score(labels, decided, pos_label=0),
            "brier": sk.brier_score_loss(labels, predictions.scores),
        }
    else:
        found |= {
            "auc": sk.roc_auc_score(truth, predictions.probabilities, average="macro"),
            "average_precision": sk.average_precision_score(truth, predictions.probabilities, average="macro"),
            "f1": sk.f1_score(labels, decided, average="macro", zero_division=0.0),
        }
    return {f"{predictions.split}_{name}": float(value) for name, value in found.items()}
