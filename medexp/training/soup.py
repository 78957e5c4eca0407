"""Average the weights of several epochs, where that does not make validation worse."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from medexp.training.course import Kept
from medexp.types import Objective

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Soup:
    """The epochs whose weights were averaged, the best first, and the objective of the average on validation."""

    members: tuple[int, ...]
    value: float


def greedy_soup(
    network: keras.Model,
    candidates: Sequence[Kept],
    *,
    load: Callable[[Kept], None],
    objective: Objective,
    score: Callable[[], float],
) -> Soup:
    """Average the weights of the best epochs, as far as the average is not worse on validation.

    The greedy soup of Wortsman et al. (Model soups, ICML 2022, arXiv:2203.05482, recipe 1), over epochs of one
    training: from the best on, an epoch joins where the objective of the uniform average is at least as good as
    before. So the result is never worse than the best epoch, on validation: it is chosen there, which flatters it a
    little, as it flatters the best epoch.

    Sums are `float64`. Means and variances of batch normalisation are averaged as weights are: the epochs are
    neighbours on one path, and one that does not fit the average loses its place by its score. What is no number with
    a fraction (states of random numbers, counters) stays as the best epoch has it.

    Args:
        network: receives the weights; those of the soup are in it at the end.
        candidates: epochs of one training, in any order.
        load: gives `network` the weights of an epoch.
        objective: what is better.
        score: measures `network`, as it is then, on validation.

    Raises:
        ValueError: no candidate has a finite objective.
    """
    sign = -1.0 if objective.mode == "max" else 1.0
    ranked = sorted(
        (c for c in candidates if math.isfinite(c.value)),
        key=lambda candidate: (sign * candidate.value, candidate.epoch),
    )
    if not ranked:
        raise ValueError("no candidate has a finite objective")
    load(ranked[0])
    kept = [np.asarray(value) for value in _values(network)]
    total = [value.astype(np.float64) for value in kept]
    members, best = [ranked[0].epoch], score()
    for candidate in ranked[1:]:
        load(candidate)
        summed = [a + np.asarray(b, np.float64) for a, b in zip(total, _values(network), strict=True)]
        average = _average(summed, len(members) + 1, like=kept)
        _assign(network, average)
        value = score()
        if math.isfinite(value) and not objective.better(best, value):
            total, kept, best = summed, average, value
            members.append(candidate.epoch)
    _assign(network, kept)
    logger.info("soup of %d of %d epochs (%s): %s %.4f, the best alone %.4f", len(members), len(ranked),
                ", ".join(map(str, members)), objective.metric, best, ranked[0].value)  # fmt: skip
    return Soup(tuple(members), float(best))


def _values(network: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(weight) for weight in network.weights]


def _average(total: Sequence[np.ndarray], members: int, *, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The mean, in the types of `like`; what has no fraction stays."""
    return [
        (part / members).astype(old.dtype) if _is_fraction(old) else old for part, old in zip(total, like, strict=True)
    ]


def _is_fraction(value: np.ndarray) -> bool:
    return not (np.issubdtype(value.dtype, np.integer) or value.dtype == np.bool_)


def _assign(network: keras.Model, values: Sequence[np.ndarray]) -> None:
    for weight, value in zip(network.weights, values, strict=True):
        weight.assign(value)
