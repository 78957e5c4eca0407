"""Fit the limits of conformal sets on validation."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import numpy as np

from medexp.decision.conformal import Conformal
from medexp.evaluation.predictions import Predictions

logger = logging.getLogger(__name__)
ROUNDING = 1e-4  # of a limit: an engine that differs from Keras by less leaves nobody outside who was inside
_EXACT = 1e-9  # 0.1 * 10 is not 1


def fit_conformal(val: Predictions, *, coverage: float) -> Conformal:
    """Return limits so that of each class a share of at least `coverage` has it in its set.

    Of n images of a class the limit is the k-th smallest probability of it, k = floor((n + 1) (1 - coverage)): then an
    exchangeable new image of the class is at or above it with a probability of `coverage` or more, whatever the model
    and however small n (Vovk, ACML 2012). Where k is 0, because n is too small, the limit is 0, so that the class is
    in every set, and the log says so. Images of one patient are not exchangeable with those of another one by one: with
    groups the coverage holds on average, and differs more from one sample to the next.

    Args:
        val: calibrated predictions of images that the network did not learn from.
        coverage: from 0 to 1, such as 0.9.
    """
    own, rest = _probabilities(val), None
    if val.task == "multilabel":
        rest = {
            name: 1 - val.probabilities[val.labels[:, i] == 0, i].astype(np.float64)
            for i, name in enumerate(val.class_names)
        }
    _say_too_few({**own, **{f"no {name}": values for name, values in (rest or {}).items()}}, coverage=coverage)
    return Conformal(
        coverage=coverage,
        limits=_limits(own, coverage=coverage),
        absent_limits=None if rest is None else _limits(rest, coverage=coverage),
        images={name: len(values) for name, values in own.items()},
        absent_images=None if rest is None else {name: len(values) for name, values in rest.items()},
    )


def rank(images: int, *, coverage: float) -> int:
    """Return which of `images` probabilities, from the smallest, 1, is the limit; 0 for none."""
    return math.floor((images + 1) * (1 - coverage) + _EXACT)


def _probabilities(val: Predictions) -> dict[str, np.ndarray]:
    """The probability of a class, of each image that is of it."""
    exact = val.probabilities.astype(np.float64)
    multilabel = val.task == "multilabel"
    return {
        name: exact[(val.labels[:, i] == 1) if multilabel else (val.labels == i), i]
        for i, name in enumerate(val.class_names)
    }


def _limits(probabilities: Mapping[str, np.ndarray], *, coverage: float) -> dict[str, float]:
    return {name: _limit(values, coverage=coverage) for name, values in probabilities.items()}


def _limit(probabilities: np.ndarray, *, coverage: float) -> float:
    k = rank(len(probabilities), coverage=coverage)
    return float(np.sort(probabilities)[k - 1]) * (1 - ROUNDING) if k else 0.0


def _say_too_few(probabilities: Mapping[str, np.ndarray], *, coverage: float) -> None:
    counts = {name: len(values) for name, values in probabilities.items()}
    if few := [f"{name} ({count})" for name, count in counts.items() if not rank(count, coverage=coverage)]:
        needed = math.ceil(1 / (1 - coverage) - 1 - _EXACT)
        logger.warning(
            "a coverage of %g takes %d validation images of each class; always in the set, for want of them: %s",
            coverage, needed, ", ".join(few),
        )  # fmt: skip
