"""A cross-entropy of probabilities that knows weights, smoothing and focusing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from medexp.models.class_weights import OutputWeights
from medexp.types import Task

SMALLEST = float(np.finfo(np.float32).tiny)
ALMOST_1 = 1 - float(np.finfo(np.float32).epsneg)  # the float32 next below 1; `1 - p + small` TensorFlow would reorder


class TaskLoss(keras.losses.Loss):
    """The weighted, focal cross-entropy of a task, linear in the target.

    Each output has a term for a target of 1, `-w log p`, and, but for multi-class, one for a target of 0,
    `-v log(1 - p)`. A target between them takes a part of each: what is mixed from two images has the mixture of their
    losses, weights included. Terms are multiplied by `(1 - q) ** gamma`, q being the probability that the term is
    about (Lin et al., Focal loss for dense object detection, ICCV 2017). The loss of an image is the sum over classes
    of a multi-class task, else the mean over outputs.

    Keras' own focal losses are not linear in the target, its class weights know single labels only, and the gradient
    of its cross-entropy of a softmax is wrong where targets do not sum to 1, as weighted ones do not.

    Args:
        task: what the outputs are.
        weights: of the terms; None for 1.
        label_smoothing: share of a target that is spread evenly: over the classes of a multi-class task, else over
            0 and 1.
        gamma: of the focal loss; 0 for cross-entropy.
        name: of the loss.
    """

    def __init__(
        self,
        task: Task,
        *,
        weights: OutputWeights | None = None,
        label_smoothing: float = 0.0,
        gamma: float = 0.0,
        name: str = "task_loss",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self._task = task
        self._weights = weights
        self._smoothing = label_smoothing
        self._gamma = gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each image, (batch,), from targets and probabilities, both (batch, outputs)."""
        if self._task == "multiclass":
            target = y_true * (1.0 - self._smoothing) + self._smoothing / y_true.shape[-1]
            positive, _ = self._terms(y_pred, ops.log(y_pred + SMALLEST), None)
            return ops.sum(target * positive, axis=-1)
        target = y_true * (1.0 - self._smoothing) + 0.5 * self._smoothing
        if self._task == "ordinal":  # a product of probabilities: what is near 1 is known to a rounding only
            log_p, log_q = ops.log(y_pred + SMALLEST), ops.log1p(-ALMOST_1 * y_pred)
        else:  # Keras remembers the logits that a sigmoid was made of: exact however sure the network is
            log_p = -ops.binary_crossentropy(ops.ones_like(y_pred), y_pred)
            log_q = -ops.binary_crossentropy(ops.zeros_like(y_pred), y_pred)
        positive, negative = self._terms(y_pred, log_p, log_q)
        return ops.mean(target * positive + (1.0 - target) * negative, axis=-1)

    def _terms(self, p: Any, log_p: Any, log_q: Any) -> tuple[Any, Any]:
        """The losses of a target of 1 and of 0, weighted and focused."""
        positive, negative = -log_p, None if log_q is None else -log_q
        if self._gamma:  # kept above 0, where the slope of a power below 1 is infinite
            positive = positive * ops.power(1.0 - ALMOST_1 * p, self._gamma)
            negative = None if negative is None else negative * ops.power(p + (1.0 - ALMOST_1), self._gamma)
        if self._weights is not None:
            positive = positive * ops.convert_to_tensor(self._weights.positive, "float32")
            if negative is not None:
                negative = negative * ops.convert_to_tensor(self._weights.negative, "float32")
        return positive, negative
