"""Differences between any two of several models that saw the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from statistics import NormalDist

import numpy as np
from scipy import special

from medexp.evaluation.comparison.aligned import aligned
from medexp.evaluation.comparison.delong import CorrelatedAucs, correlated_aucs
from medexp.evaluation.comparison.direction import direction
from medexp.evaluation.comparison.matched import Discordant, discordant
from medexp.evaluation.comparison.paired import BOOTSTRAP, DELONG, DELONG_BY_GROUP, MCNEMAR, POWER, PairedDifference
from medexp.evaluation.comparison.sampled import sampled
from medexp.evaluation.comparison.shares import right_answers
from medexp.evaluation.comparison.spread import NO_SPREAD, Spread
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.percentiles import bootstrap_interval, percentile_interval
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.proportions import proportions
from medexp.evaluation.units import Units
from medexp.types import Estimate, Mode

Rows = tuple[int, ...]
_NONE = 1e-12  # a deviation below: all samples agree but for roundings, as those of a single group do


class Contrasts:
    """One metric of k runs on the same images.

    A variant is one or several of the runs: its value is the mean of theirs, in each bootstrap sample, too. Runs of one
    variant differ by chance (seeds), which is a source of variance of its own (Bouthillier et al., MLSys 2021): their
    variance over k is added, with Student's t for its few degrees of freedom (Welch and Satterthwaite). A variant of a
    single run has none: what is said of it is said of that network, not of its recipe.

    Args:
        predictions: of each run.
        names: of the runs, for messages.
        metric: without its split.
        thresholds: of each run.
        resamples: bootstrap samples.
        confidence: of the intervals.
        seed: of the resampling.
        mode: whether a large value is good; None: as `direction` knows.
        rope: differences up to this are none in practice.
        power: with which a difference is to be seen.

    Raises:
        DataError: they are of other images, labels, classes or groups, or there is no such metric.
    """

    def __init__(
        self,
        predictions: Sequence[Predictions],
        *,
        names: Sequence[str],
        metric: str,
        thresholds: Sequence[Mapping[str, float]],
        resamples: int,
        confidence: float,
        seed: int = 0,
        mode: Mode | None = None,
        rope: float = 0.0,
        power: float = POWER,
    ) -> None:
        self._predictions = aligned(predictions, names=names)
        self._thresholds = tuple(thresholds)
        self.metric = metric
        self.mode: Mode = mode or direction(metric)
        self.sampled = sampled(
            self._predictions, metric=metric, thresholds=self._thresholds, resamples=resamples, seed=seed
        )
        self._confidence, self._seed, self._rope, self._power = confidence, seed, rope, power
        self._units = Units.of(self._predictions[0])
        self._behind = self._units.behind(metric, {})
        self._estimates: dict[Rows, Estimate] = {}

    @property
    def images(self) -> int:
        """How many images all runs saw."""
        return len(self._predictions[0].keys)

    def estimate(self, rows: Rows) -> Estimate:
        """Return the mean of some runs, with its interval."""
        if rows not in self._estimates:
            self._estimates[rows] = self._alone(rows[0]) if len(rows) == 1 else self._pooled(rows)
        return self._estimates[rows]

    def between(self, a: Rows, b: Rows) -> PairedDifference:
        """Return how the mean of the runs `a` differs from that of the runs `b`."""
        single = len(a) == len(b) == 1
        counted = self._discordant(a[0], b[0]) if single else None
        value = float(self.sampled.values[list(a)].mean() - self.sampled.values[list(b)].mean())
        samples = self.sampled.samples[list(a)].mean(axis=0) - self.sampled.samples[list(b)].mean(axis=0)
        alike = single and self._identical(a[0], b[0])
        spread = self._joint_spread(a, b)
        error, freedom, test = self._error(a, b, samples, spread)
        draws = self._draws(samples, spread)
        interval = self._interval(draws, value, spread)
        p_value = _two_sided(value, error, freedom)
        if alike:
            interval, p_value = Estimate(0.0, 0.0, 0.0), 1.0
        elif counted is not None and self.sampled.unit == "image":
            interval, draws = Estimate(value, *counted.interval(self._confidence)), self._posterior(counted)
            p_value, test = counted.p_value, MCNEMAR
            error = max(error, counted.least_error)
        elif counted is not None and error >= _NONE:
            low, high = counted.interval(self._confidence)
            interval = Estimate(value, min(interval.low, low), max(interval.high, high))
            error = max(error, counted.least_error)
            p_value = _two_sided(value, error, freedom)
        elif error < _NONE:
            low, high = Discordant(0, 0, round(self._behind)).interval(self._confidence)
            interval = Estimate(value, value + low, value + high)
            error = high / self._z
            p_value = _two_sided(value, error, freedom)
            draws = value + error * np.random.default_rng((self._seed, 3)).standard_t(freedom, len(samples))
        if test == BOOTSTRAP:
            p_value = max(p_value, 2 * min(float((draws <= 0).mean()), float((draws >= 0).mean())))
        resolvable = (self._z + NormalDist().inv_cdf(self._power)) * error
        gain = draws if self.mode == "max" else -draws
        return PairedDifference(
            metric=self.metric,
            mode=self.mode,
            confidence=self._confidence,
            a=self.estimate(a),
            b=self.estimate(b),
            difference=interval,
            standard_error=0.0 if alike else error,
            p_value=min(1.0, p_value),
            test=test,
            p_better=0.5 if alike else float((gain > 0).mean() + (gain == 0).mean() / 2),
            p_equivalent=1.0 if alike else float((np.abs(gain) <= self._rope).mean()),
            rope=self._rope,
            images=self.images,
            unit=self.sampled.unit,
            units=self.sampled.units,
            runs=(len(a), len(b)),
            resolvable=resolvable,
            images_needed=None if value == 0 else math.ceil(self.images * (resolvable / abs(value)) ** 2),
            mcnemar=self._mcnemar(a[0], b[0]) if single else None,
        )

    def _alone(self, row: int) -> Estimate:
        """As `metric_estimates` has it, from the samples that are there."""
        predictions, thresholds = self._predictions[row], self._thresholds[row]
        samples, value = self.sampled.samples[row], float(self.sampled.values[row])
        share = proportions(predictions, thresholds=thresholds).get(self.metric)
        if share is not None:
            deviation = float(samples.std())
            return share.interval(confidence=self._confidence, member=self._units.member, deviation=deviation)
        found = self._of_one(samples, value, NO_SPREAD)
        if found.low < found.high:
            return found
        return metric_estimates(
            predictions, thresholds=thresholds, resamples=2, confidence=self._confidence, only=(self.metric,)
        )[self.metric]

    def _pooled(self, rows: Rows) -> Estimate:
        samples = self.sampled.samples[list(rows)].mean(axis=0)
        value = float(self.sampled.values[list(rows)].mean())
        spread = self._spread(rows)
        found = self._of_one(self._draws(samples, spread), value, spread)
        if found.low < found.high:
            return found
        parts = [self.estimate((row,)) for row in rows]
        return Estimate(value, min(part.low for part in parts), max(part.high for part in parts))

    def _error(self, a: Rows, b: Rows, samples: np.ndarray, spread: Spread) -> tuple[float, float, str]:
        """Return the standard error of the difference, its degrees of freedom, and what it comes from."""
        variance, test = float(samples.var(ddof=1)), BOOTSTRAP
        freedom = max(self._behind - 1, 1.0)
        if self._aucs is not None:
            weights = np.zeros(len(self._predictions))
            weights[list(a)] += 1 / len(a)
            weights[list(b)] -= 1 / len(b)
            found = float(weights @ self._aucs.covariance @ weights)
            if math.isfinite(found):
                grouped = self.sampled.unit == "group"
                variance, test = max(found, 0.0), DELONG_BY_GROUP if grouped else DELONG
                freedom = freedom if grouped else math.inf  # the normal distribution, as published
        return math.sqrt(variance + spread.variance), spread.joined(variance, freedom), test

    @cached_property
    def _aucs(self) -> CorrelatedAucs | None:
        """Areas with DeLong's covariance, where the metric is that of a single question."""
        if self.metric != "auc" or self._predictions[0].task != "binary":
            return None
        truth = questions(self._predictions[0])[0].truth
        return correlated_aucs(
            truth, np.stack([p.scores for p in self._predictions]), groups=self._predictions[0].groups
        )

    @cached_property
    def _right(self) -> tuple[np.ndarray | None, ...]:
        """Which images each run has right, where the metric is a share of images."""
        return tuple(
            right_answers(p, metric=self.metric, thresholds=t)
            for p, t in zip(self._predictions, self._thresholds, strict=True)
        )

    @cached_property
    def _right_at_all(self) -> tuple[np.ndarray, ...]:
        """Which images each run has right, all of a multi-label one's answers."""
        several = self._predictions[0].task == "multilabel"
        found = (
            right_answers(p, metric="subset_accuracy" if several else "accuracy", thresholds=t)
            for p, t in zip(self._predictions, self._thresholds, strict=True)
        )
        return tuple(right for right in found if right is not None)

    def _discordant(self, a: int, b: int) -> Discordant | None:
        right_a, right_b = self._right[a], self._right[b]
        return None if right_a is None or right_b is None else discordant(right_a, right_b)

    def _mcnemar(self, a: int, b: int) -> float | None:
        if self.sampled.unit == "group":
            return None
        return discordant(self._right_at_all[a], self._right_at_all[b]).p_value

    def _identical(self, a: int, b: int) -> bool:
        if not np.array_equal(self._predictions[a].probabilities, self._predictions[b].probabilities):
            return False
        one, other = (self._predictions[i].decisions(self._thresholds[i]) for i in (a, b))
        return np.array_equal(one, other)

    def _spread(self, rows: Rows) -> Spread:
        if len(rows) == 1:
            return NO_SPREAD
        return Spread(float(self.sampled.values[list(rows)].var(ddof=1)) / len(rows), len(rows) - 1)

    def _joint_spread(self, a: Rows, b: Rows) -> Spread:
        parts = [part for part in (self._spread(a), self._spread(b)) if part.variance > 0]
        total = sum(part.variance for part in parts)
        if not parts:
            return NO_SPREAD
        return Spread(total, total**2 / sum(part.variance**2 / part.freedom for part in parts))

    def _draws(self, samples: np.ndarray, spread: Spread) -> np.ndarray:
        """Bootstrap samples with what other runs of the variants would add: of Student's t, where runs are few."""
        if spread.variance == 0:
            return samples
        rng = np.random.default_rng((self._seed, 1))
        middle = samples.mean()
        away = samples - middle + rng.normal(scale=math.sqrt(spread.variance), size=len(samples))
        freedom = spread.joined(float(samples.var(ddof=1)), max(self._behind - 1, 1.0))
        return np.asarray(middle + away * np.sqrt(freedom / rng.chisquare(freedom, len(samples))))

    def _posterior(self, counted: Discordant) -> np.ndarray:
        """Draws of the difference of two shares, given the counts: Dirichlet, with Jeffreys' prior."""
        agreed = counted.images - counted.only_a - counted.only_b
        rng = np.random.default_rng((self._seed, 2))
        draws = rng.dirichlet(
            (counted.only_a + 0.5, counted.only_b + 0.5, agreed + 1.0), max(self.sampled.samples.shape[1], 1)
        )
        return np.asarray(draws[:, 0] - draws[:, 1])

    def _interval(self, draws: np.ndarray, value: float, spread: Spread) -> Estimate:
        return percentile_interval(draws, value=value, confidence=self._confidence, units=self._allowed_for(spread))

    def _of_one(self, draws: np.ndarray, value: float, spread: Spread) -> Estimate:
        """Of a value, not of a difference: as its evaluation has it."""
        units = self._allowed_for(spread)
        return bootstrap_interval(self.metric, draws, value=value, confidence=self._confidence, units=units)

    def _allowed_for(self, spread: Spread) -> float:
        return self._behind if spread.variance == 0 else math.inf  # `_draws` have allowed for few

    @property
    def _z(self) -> float:
        return NormalDist().inv_cdf((1 + self._confidence) / 2)


def _two_sided(value: float, error: float, freedom: float) -> float:
    """The p value of a difference, by Student's t (the normal distribution where `freedom` is infinite)."""
    if error == 0:
        return 1.0 if value == 0 else 0.0
    score = abs(value) / error
    return 2 * float(special.ndtr(-score) if math.isinf(freedom) else special.stdtr(freedom, -score))
