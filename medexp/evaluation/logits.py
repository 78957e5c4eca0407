"""From probabilities back to the logits that calibration moves, and forth again."""

from __future__ import annotations

import numpy as np

from medexp.evaluation.predictions import Predictions
from medexp.types import Task

_LOWEST = float(np.finfo(np.float32).tiny)
_HIGHEST = 1 - 2.0**-25  # halfway between 1 and the float32 below it


def logits_of(predictions: Predictions) -> np.ndarray:
    """Return what the last layer said before its activation, `float64`, (n, outputs) as `DataSpec.outputs` counts them.

    Binary and multi-label: log odds. Multi-class: logarithms of probabilities, which differ from the logits by a
    number that softmax takes away again. Ordinal: log odds of being above each grade given that one is not below it
    (`models.head`). A single-precision probability close to 1 has lost digits of its logit, and one of exactly 1 counts
    as log odds of 17; whoever has the network has the logits themselves (`models.logit_head`).
    """
    exact = predictions.probabilities.astype(np.float64)
    if predictions.task == "multiclass":
        return np.asarray(np.log(exact.clip(_LOWEST, 1)))
    if predictions.task == "ordinal":
        at_least = np.cumsum(exact[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(np.log(at_least[:, 1:].clip(_LOWEST)) - np.log(exact[:, :-1].clip(_LOWEST)))
    positive = exact[:, 1:] if predictions.task == "binary" else exact
    return log_odds(positive)


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)), finite, of single-precision probabilities of any shape."""
    exact = probabilities.astype(np.float64).clip(_LOWEST, _HIGHEST)
    return np.asarray(np.log(exact) - np.log1p(-exact))


def activated(logits: np.ndarray, *, task: Task) -> np.ndarray:
    """Return the probability of each output (n, outputs): of each class, or of being above a grade given not below."""
    if task == "multiclass":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))  # 1 / (1 + exp(-x)) that never overflows


def of_classes(outputs: np.ndarray, *, task: Task) -> np.ndarray:
    """Return a probability for each class (n, classes) from one for each output, as the network's last layers do."""
    if task == "binary":
        return np.concatenate([1 - outputs, outputs], axis=1)
    if task == "multiclass":
        return np.asarray(outputs / outputs.sum(axis=1, keepdims=True))
    if task == "ordinal":
        above = np.cumprod(outputs, axis=1)
        return np.asarray(-np.diff(above, axis=1, prepend=1.0, append=0.0))
    return outputs
