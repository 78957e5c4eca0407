"""The yes-or-no questions that a task consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medexp.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Question:
    """One question: the truth is 1 or 0, the score a probability, both (n,).

    `name` is the class, or `> <grade>` for the cut point above a grade.
    """

    name: str
    truth: np.ndarray
    scores: np.ndarray

    @property
    def defined(self) -> bool:
        """Whether both answers occur: ROC and precision-recall curves need that."""
        return bool(0 < self.truth.sum() < len(self.truth))


def questions(predictions: Predictions) -> tuple[Question, ...]:
    """Return the positive class of a binary task, each class of others, the cut points between ordered grades."""
    return tuple(_questions(predictions))


def _questions(predictions: Predictions) -> Iterator[Question]:
    names, labels = predictions.class_names, predictions.labels
    probabilities = predictions.probabilities.astype(np.float64)
    if predictions.task == "ordinal":
        for k in range(len(names) - 1):
            yield Question(f"> {names[k]}", (labels > k).astype(int), probabilities[:, k + 1 :].sum(axis=1))
        return
    for i, name in enumerate(names):
        if predictions.task == "multilabel":
            yield Question(name, labels[:, i].astype(int), probabilities[:, i])
        elif predictions.task == "multiclass" or i == 1:
            yield Question(name, (labels == i).astype(int), probabilities[:, i])
