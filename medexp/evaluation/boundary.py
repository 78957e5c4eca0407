"""What a metric could be where no bootstrap sample differs: everything was right, or everything wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from medexp.evaluation.predictions import Predictions
from medexp.evaluation.weighted import WeightedMetrics

_RANKED = ("auc", "average_precision")


def boundary_ranges(
    predictions: Predictions, *, thresholds: Mapping[str, float], names: Collection[str], images: Sequence[float]
) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest value that each metric has with some more images that might have been seen.

    Wilson's interval of n right answers of n is what z^2 further wrong ones make of the share, n / (n + z^2). So here,
    for metrics that are no shares: z^2 further images of each class in turn, decided wrongly, then rightly; for areas
    under curves, of which a wrong order is not the opposite but none, images whose scores are those of any image.

    Args:
        predictions: of one split.
        thresholds: what `Predictions.decisions` takes.
        names: of the metrics, without the split.
        images: how many further ones of each class (multi-label: with all findings, with none): z^2, times the
            images of a group where groups are drawn.
    """
    ranked = [name for name in names if name.partition("/")[0] in _RANKED]
    decided = [name for name in names if name not in ranked]
    found: dict[str, tuple[float, float]] = {}
    for only, more in ((ranked, _blind), (decided, _sure)):
        for label, labels, probabilities in more(predictions) if only else ():
            share = images[label] / len(labels)
            weight = np.concatenate([np.ones(len(predictions.labels)), np.full(len(labels), share)])
            longer = replace(
                predictions,
                labels=np.concatenate([predictions.labels, labels]),
                probabilities=np.concatenate([predictions.probabilities, probabilities]),
            )
            metrics = WeightedMetrics(longer, thresholds=thresholds, only=only).values(weight[None])
            for name, (value,) in metrics.items():
                low, high = found.get(name, (np.inf, -np.inf))
                found[name] = (float(np.fmin(low, value)), float(np.fmax(high, value)))
    return {name: (low, high) for name, (low, high) in found.items() if low <= high}


def _blind(predictions: Predictions) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Images of one class with the probabilities of all images."""
    for number, label in enumerate(_labels(predictions)):
        yield number, np.repeat(label[None], len(predictions.labels), axis=0), predictions.probabilities


def _sure(predictions: Predictions) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Images of one class with a probability of 1: of another class, then of theirs."""
    classes = len(predictions.class_names)
    for number, label in enumerate(_labels(predictions)):
        if predictions.task == "multilabel":
            answers = np.array([1 - label, label], predictions.probabilities.dtype)
            wrong, right = answers[:1], answers[1:]
        else:
            one_hot = np.eye(classes, dtype=predictions.probabilities.dtype)
            wrong, right = np.delete(one_hot, label, axis=0), one_hot[[label]]
        for rows in (wrong, right):
            yield number, np.repeat(label[None], len(rows), axis=0), rows


def _labels(predictions: Predictions) -> np.ndarray:
    """A row for each class; multi-label: all findings, none."""
    classes = len(predictions.class_names)
    if predictions.task == "multilabel":
        return np.stack([np.ones(classes, predictions.labels.dtype), np.zeros(classes, predictions.labels.dtype)])
    return np.arange(classes)
