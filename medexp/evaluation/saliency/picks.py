"""Which images are worth a look: the surest right, the surest wrong, the least sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medexp.evaluation.predictions import Predictions

RIGHT, WRONG, UNSURE = "surest right", "surest wrong", "least sure"


@dataclass(frozen=True)
class Pick:
    """One image, and the answer that is looked at; of a multi-label task that about one finding.

    Args:
        image: its place in the predictions.
        label: what it is, in words; of a multi-label task whether the finding is there.
        answer: what was decided, in the same words.
        probability: of the answer.
        sureness: from 0, as near to another answer as can be, to 1.
        output: the unit of the network's last layer whose map tells why.
        sign: 1 where what raises this unit speaks for the answer, -1 where it speaks against it.
    """

    image: int
    label: str
    answer: str
    probability: float
    sureness: float
    output: int
    sign: int


def pick(predictions: Predictions, *, thresholds: Mapping[str, float], count: int) -> dict[str, tuple[Pick, ...]]:
    """Return up to `count` images of each kind, the surest (or least sure) first, none of them twice in a kind.

    Sure is what is far from its threshold, as a share of the way to 0 or 1; without thresholds, an answer whose
    probability is far above that of the next class. What is surest is taken from each answer in turn, and of a
    multi-label task from each finding: the surest of all is always there, but images without findings, which most are,
    do not fill the page.

    Args:
        predictions: of images with labels.
        thresholds: of the operating point, as for `Predictions.decisions`.
        count: of images of each kind.
    """
    asked = _Asked(predictions, thresholds)
    sure = np.argsort(-asked.sureness, kind="stable")
    right = asked.right[sure]
    chosen = {
        RIGHT: asked.in_turn(sure[right]),
        WRONG: asked.in_turn(sure[~right]),
        UNSURE: sure[::-1],
    }
    found = {}
    for kind, order in chosen.items():
        _, first = np.unique(asked.image[order], return_index=True)
        kept = order[np.sort(first)[:count]]
        ascending = kind == UNSURE
        kept = kept[np.argsort(asked.sureness[kept] if ascending else -asked.sureness[kept], kind="stable")]
        found[kind] = tuple(asked.pick(int(place)) for place in kept)
    return found


def answers(predictions: Predictions, places: np.ndarray, *, thresholds: Mapping[str, float]) -> tuple[Pick, ...]:
    """Return the answers about the images at `places`; of a multi-label task that about the most probable finding."""
    asked, classes = _Asked(predictions, thresholds), len(predictions.class_names)
    if predictions.task != "multilabel":
        return tuple(asked.pick(int(place)) for place in places)
    likeliest = predictions.probabilities.argmax(axis=1)
    return tuple(asked.pick(int(place * classes + likeliest[place])) for place in places)


class _Asked:
    """Every answer as a row: one for each image, of a multi-label task one for each image and finding."""

    def __init__(self, predictions: Predictions, thresholds: Mapping[str, float]) -> None:
        self._predictions = predictions
        n, classes = predictions.probabilities.shape
        exact = predictions.probabilities.astype(np.float64)
        decided = predictions.decisions(thresholds)
        several = predictions.task == "multilabel"
        self.image = np.repeat(np.arange(n), classes) if several else np.arange(n)
        self.finding = np.tile(np.arange(classes), n) if several else np.zeros(n, dtype=int)
        self.answer, self.label = decided.ravel(), np.asarray(predictions.labels).ravel()
        self.right = self.answer == self.label
        if several:
            present = exact.ravel()
            limits = np.tile([thresholds[name] for name in predictions.class_names], n)
            self.probability = np.where(self.answer == 1, present, 1 - present)
            self.sureness = _share_of_the_way(present, limits, self.answer == 1)
            return
        self.probability = exact[np.arange(n), decided]
        if predictions.task == "binary" and thresholds:
            limit = thresholds[predictions.class_names[1]]
            self.sureness = _share_of_the_way(exact[:, 1], np.full(n, limit), decided == 1)
        else:
            others = np.where(np.arange(classes) == decided[:, np.newaxis], -np.inf, exact).max(axis=1)
            self.sureness = self.probability - others

    def in_turn(self, order: np.ndarray) -> np.ndarray:
        """Deal rows so that findings take turns within an answer, and answers take turns."""
        order = order[np.argsort(_rank_within(self.answer[order], self.finding[order]), kind="stable")]
        return order[np.argsort(_rank_within(self.answer[order]), kind="stable")]

    def pick(self, row: int) -> Pick:
        answer, finding = int(self.answer[row]), int(self.finding[row])
        output, sign = self._unit(answer, finding)
        return Pick(
            int(self.image[row]),
            self._words(int(self.label[row]), finding),
            self._words(answer, finding),
            float(self.probability[row]),
            float(self.sureness[row]),
            output,
            sign,
        )

    def _words(self, value: int, finding: int) -> str:
        names = self._predictions.class_names
        if self._predictions.task != "multilabel":
            return names[value]
        return names[finding] if value else f"no {names[finding]}"

    def _unit(self, answer: int, finding: int) -> tuple[int, int]:
        task = self._predictions.task
        if task == "multiclass":
            return answer, 1
        if task == "multilabel":
            return finding, 1 if answer else -1
        return max(answer - 1, 0), 1 if answer else -1  # binary, ordinal: unit k says that the grade is above k


def _share_of_the_way(probability: np.ndarray, limit: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """How far a probability is from its threshold, 0, towards 0 or 1: 1. A threshold above 1 is never reached."""
    limit = np.clip(limit, 0, 1)
    way = np.where(positive, 1 - limit, limit)
    return np.asarray(np.clip(np.abs(probability - limit) / np.maximum(way, 1e-12), 0, 1))


def _rank_within(*keys: np.ndarray) -> np.ndarray:
    """Of each row, how many before it have the same keys."""
    _, group = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)
    group = group.ravel()
    by_group = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(group))[:-1]]) if len(group) else np.zeros(0, dtype=int)
    ranks = np.empty(len(group), dtype=int)
    ranks[by_group] = np.arange(len(group)) - starts[group[by_group]]
    return ranks
