"""Metrics with the intervals that they may lie in."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from medexp.evaluation.bootstrap import Bootstrap
from medexp.evaluation.boundary import boundary_ranges
from medexp.evaluation.evidence import Resampling
from medexp.evaluation.percentiles import bootstrap_interval
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.proportions import mean_of_independent, proportions
from medexp.evaluation.units import Units
from medexp.evaluation.weighted import WeightedMetrics
from medexp.types import Estimate

_SIGNED = ("mcc", "quadratic_kappa")  # from -1 to 1; what else can lack a meaning lies between 0 and 1
_ENOUGH = 0.5  # share of samples in which a metric must have a meaning


def metric_estimates(
    predictions: Predictions,
    *,
    thresholds: Mapping[str, float],
    resamples: int,
    confidence: float,
    seed: int = 0,
    only: Collection[str] | None = None,
) -> dict[str, Estimate]:
    """Return the metrics of `classification_metrics`, without the split in their names, with intervals.

    - Shares of images (sensitivity, specificity, PPV, NPV, accuracy, of the positive class or `/<class>`): Wilson's
      interval, widened where images of one group resemble each other (`Proportion.interval`). Their means over
      classes that share no image (`balanced_accuracy`, and `sensitivity` of more than two): from these, by MOVER.
    - `auc`, `average_precision`: of the bootstrap's deviation, on the scale of log odds (`logit_interval`).
    - All others: bias-corrected percentiles of the bootstrap (`percentile_interval`).
    - The bootstrap is by group where there are groups, else within each class: intervals hold for data with these
      shares of the classes.
    - Where all bootstrap samples agree, as when everything was right: `boundary_ranges`, never a width of 0.

    Args:
        predictions: of one split.
        thresholds: what `Predictions.decisions` takes.
        resamples: bootstrap samples; 0: no intervals, each is its value alone.
        confidence: such as 0.95.
        seed: of the drawing; the result depends on nothing else, whatever the number of processors.
        only: names that are wanted; None: all. A metric without meaning is left out.
    """
    metrics = WeightedMetrics(predictions, thresholds=thresholds)
    values = {name: value for name, value in metrics.value().items() if np.isfinite(value)}
    if only is not None:
        values = {name: value for name, value in values.items() if name in only}
    if not resamples:
        return {name: Estimate(value, value, value) for name, value in values.items()}
    bootstrap = Bootstrap(predictions, resamples=resamples, seed=seed)
    work = _Work(
        predictions, thresholds, confidence, values, bootstrap_values(metrics, bootstrap), Units.of(predictions)
    )
    found = {name: work.percentiles(name) for name in values}
    found |= work.shares(found)
    found |= work.boundaries([name for name, estimate in found.items() if estimate.high - estimate.low < 1e-12])
    return {name: found[name] for name in values}


def bootstrap_values(metrics: WeightedMetrics, bootstrap: Bootstrap) -> dict[str, np.ndarray]:
    """Return each metric of each bootstrap sample, (resamples,), NaN where it has no meaning; all processors work."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(_processors()) as pool:
        parts = list(pool.map(lambda number: metrics.values(bootstrap.block(number)), range(len(bootstrap))))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def resampling(predictions: Predictions, *, resamples: int, confidence: float) -> Resampling:
    """Return how `metric_estimates` makes intervals of these predictions."""
    bootstrap = Bootstrap(predictions, resamples=resamples)
    return Resampling(resamples, confidence, bootstrap.unit, bootstrap.units)


@dataclass(frozen=True)
class _Work:
    """One call of `metric_estimates`: its arguments, the values, and the bootstrap samples of each metric."""

    predictions: Predictions
    thresholds: Mapping[str, float]
    confidence: float
    values: Mapping[str, float]
    samples: Mapping[str, np.ndarray]
    units: Units

    def percentiles(self, name: str) -> Estimate:
        drawn = self.samples[name]
        told = drawn[np.isfinite(drawn)]
        if len(told) < _ENOUGH * len(drawn):
            return Estimate(self.values[name], -1.0 if name.partition("/")[0] in _SIGNED else 0.0, 1.0)
        units = self.units.behind(name, self.samples)
        return bootstrap_interval(name, told, value=self.values[name], confidence=self.confidence, units=units)

    def shares(self, found: Mapping[str, Estimate]) -> dict[str, Estimate]:
        every = proportions(self.predictions, thresholds=self.thresholds)
        exact = {
            name: proportion.interval(
                confidence=self.confidence,
                member=self.units.member,
                deviation=float(np.nanstd(self.samples[name])) if np.isfinite(self.samples[name]).any() else 0.0,
            )
            for name, proportion in every.items()
        }
        shares = {name: exact[name] for name in found if name in exact}
        for name, parts in _disjoint(self.predictions, exact).items():
            if name in found and parts:
                mean = replace(mean_of_independent(parts), value=self.values[name])
                if self.units.member is not None:  # images of one patient are of several classes
                    mean = Estimate(mean.value, min(mean.low, found[name].low), max(mean.high, found[name].high))
                shares[name] = mean
        return shares

    def boundaries(self, names: list[str]) -> dict[str, Estimate]:
        if not names:
            return {}
        squared = NormalDist().inv_cdf((1 + self.confidence) / 2) ** 2
        images = [squared * size for size in self.units.images_of_one]
        ranges = boundary_ranges(self.predictions, thresholds=self.thresholds, names=names, images=images)
        return {
            name: Estimate(self.values[name], min(low, self.values[name]), max(high, self.values[name]))
            for name, (low, high) in ranges.items()
        }


def _disjoint(predictions: Predictions, exact: Mapping[str, Estimate]) -> dict[str, list[Estimate]]:
    """The means of shares of different images, and of which shares."""
    if predictions.task == "multilabel":
        return {}
    if predictions.task == "binary":
        parts = [exact[name] for name in ("sensitivity", "specificity") if name in exact]
        return {"balanced_accuracy": parts if len(parts) == 2 else []}
    parts = [estimate for name, estimate in exact.items() if name.startswith("sensitivity/")]
    return {"balanced_accuracy": parts, "sensitivity": parts}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
