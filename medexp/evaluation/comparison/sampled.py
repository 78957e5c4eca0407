"""One metric of several runs in the same bootstrap samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medexp.errors import DataError, unknown
from medexp.evaluation.bootstrap import Bootstrap
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.weighted import WeightedMetrics


@dataclass(frozen=True)
class Sampled:
    """A metric of k runs on the test split, (k,), and in each of s bootstrap samples of it, (k, s).

    Samples in which the metric of a run cannot be told are left out. `unit` is what was drawn, `units` how many.
    """

    values: np.ndarray
    samples: np.ndarray
    unit: Literal["group", "image"]
    units: int


def sampled(
    predictions: Sequence[Predictions],
    *,
    metric: str,
    thresholds: Sequence[Mapping[str, float]],
    resamples: int,
    seed: int,
) -> Sampled:
    """Return one metric of each run; every sample draws the same images, or patients, for all of them.

    Args:
        predictions: of the same images, in the same order (`aligned`).
        metric: without its split, such as `auc`.
        thresholds: of each run.
        resamples: how many samples.
        seed: of the drawing.

    Raises:
        DataError: the task has no such metric (lists those it has), or it cannot be told of these images.
    """
    measured = [
        WeightedMetrics(one, thresholds=chosen, only=(metric,))
        for one, chosen in zip(predictions, thresholds, strict=True)
    ]
    values = [one.value().get(metric) for one in measured]
    if None in values:
        raise DataError(unknown("metric", metric, WeightedMetrics(predictions[0], thresholds=thresholds[0]).value()))
    found = np.array(values, np.float64)
    if not np.isfinite(found).all():
        raise DataError(f"The metric has no meaning for these images: an answer never occurs. Received: {metric}")
    drawn = Bootstrap(predictions[0], resamples=resamples, seed=seed)
    blocks = [[one.values(weights)[metric] for one in measured] for weights in drawn]
    samples = np.concatenate([np.stack(block) for block in blocks], axis=1)
    return Sampled(found, samples[:, np.isfinite(samples).all(axis=0)], drawn.unit, drawn.units)
