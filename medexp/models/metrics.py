"""Metrics of training and validation, from the targets and outputs of a network. They are not part of an artifact."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

BOUNDS = tuple(1 / (1 + math.exp(16 - 32 * i / 399)) for i in range(400))


class MeanAUC(keras.metrics.Metric):
    """The area under the ROC curve, averaged over outputs.

    The share of pairs (positive, negative) that are in order, equal scores counting half (Mann and Whitney, Ann Math
    Stat 18:50, 1947). Scores are equal when they fall between the same two of 400 bounds, evenly spaced in logits:
    evenly spaced in probability, as `keras.metrics.AUC` has them, the area is wrong for a sure network or a rare
    finding, whose scores all fall between two of them. An output of which only one value occurs has no ROC curve;
    Keras counts it as 0, here it is left out (0 where that leaves none). A target that was mixed from two images
    counts as the nearer value.

    Args:
        outputs: of the network.
        name: of the metric.
    """

    def __init__(self, outputs: int, *, name: str = "auc") -> None:
        super().__init__(name=name)
        self._outputs = outputs
        shape = (len(BOUNDS) + 1, outputs)
        self._positive = self.add_variable(shape, "zeros", dtype="float32", name="positive")
        self._negative = self.add_variable(shape, "zeros", dtype="float32", name="negative")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch: targets and probabilities, both (batch, outputs); a weight for each image, (batch,)."""
        positive = ops.cast(_nearer(y_true), "float32")
        weight = ops.ones_like(positive)
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        scores = ops.reshape(ops.cast(y_pred, "float32"), (-1,))
        place = ops.cast(ops.searchsorted(ops.convert_to_tensor(BOUNDS, "float32"), scores), "int32")
        cell = ops.reshape(place, (-1, self._outputs)) * self._outputs + ops.arange(self._outputs, dtype="int32")
        for count, values in ((self._positive, weight * positive), (self._negative, weight * (1 - positive))):
            flat = ops.segment_sum(ops.reshape(values, (-1,)), ops.reshape(cell, (-1,)), math.prod(count.shape))
            count.assign_add(ops.reshape(flat, count.shape))

    def result(self) -> Any:
        """The mean area so far."""
        negative = ops.convert_to_tensor(self._negative)
        below = ops.cumsum(negative, axis=0) - negative
        in_order = ops.sum(self._positive * (below + negative / 2), axis=0)
        pairs = ops.sum(self._positive, axis=0) * ops.sum(negative, axis=0)
        defined = ops.cast(pairs > 0, "float32")
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(in_order, pairs)), ops.sum(defined))


def binary_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Share of the outputs (batch, outputs) on the right side of 0.5, for each image, (batch,)."""
    return ops.mean(ops.cast(ops.equal(_nearer(y_true), _nearer(y_pred)), "float32"), axis=-1)


def grade_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the most probable grade is the true one, (batch,), from cumulative targets and outputs (batch, K - 1)."""
    at_least = ops.pad(y_pred, ((0, 0), (1, 0)), constant_values=1.0)
    found = ops.argmax(at_least - ops.pad(y_pred, ((0, 0), (0, 1))), axis=-1)
    grade = ops.sum(ops.cast(_nearer(y_true), "int32"), axis=-1)
    return ops.cast(ops.equal(grade, ops.cast(found, "int32")), "float32")


def _nearer(values: Any) -> Any:
    return ops.convert_to_tensor(values) > 0.5
