"""Two models on the same images: which is better, how sure that is, and how many images would tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medexp.evaluation.predictions import Predictions
from medexp.types import Estimate, Mode

POWER = 0.8
DELONG, DELONG_BY_GROUP, MCNEMAR, BOOTSTRAP = "DeLong", "DeLong by group", "McNemar, exact", "bootstrap"


@dataclass(frozen=True)
class PairedDifference:
    """A metric of A minus that of B, both on the same images.

    Args:
        metric: without its split, such as `auc`.
        mode: whether a large value is good.
        confidence: of the intervals.
        a: the metric of A; of several runs their mean.
        b: of B.
        difference: A - B, of the metric itself: of a loss, below 0 where A is better.
        standard_error: of `difference`.
        p_value: two-sided, that there is no difference; not adjusted for other comparisons.
        test: what it comes from: `DeLong`, `DeLong by group`, `McNemar, exact` or `bootstrap`.
        p_better: the chance that A is better, given these images (ties count half).
        p_equivalent: the chance that the difference is at most `rope` either way.
        rope: the region of practical equivalence.
        images: of the test split.
        unit: what intervals drew: `group` (patients) or `image`.
        units: how many there are.
        runs: of A, and of B.
        resolvable: the smallest difference that these images would show with the power asked for, 0.8 where nothing
            else was.
        images_needed: how many images like these would show a difference as large as the one seen, with that power;
            None where none was seen.
        mcnemar: p value of McNemar's exact test of right and wrong answers; None where images are not independent
            (groups), or A or B is several runs.
    """

    metric: str
    mode: Mode
    confidence: float
    a: Estimate
    b: Estimate
    difference: Estimate
    standard_error: float
    p_value: float
    test: str
    p_better: float
    p_equivalent: float
    rope: float
    images: int
    unit: str
    units: int
    runs: tuple[int, int]
    resolvable: float
    images_needed: int | None
    mcnemar: float | None

    @property
    def advantage(self) -> Estimate:
        """The difference turned so that above 0 A is better, whatever the metric."""
        found = self.difference
        return found if self.mode == "max" else Estimate(-found.value, -found.high, -found.low)

    @property
    def better(self) -> bool:
        """Whether A is better, at 1 - confidence, two-sided: superiority, where nothing else is compared."""
        return self.advantage.value > 0 and self.p_value < 1 - self.confidence

    def not_inferior(self, margin: float) -> bool:
        """Whether A is worse by less than `margin`: the interval says so (CONSORT 2010 for non-inferiority trials)."""
        return self.advantage.low > -margin


def paired_difference(
    a: Predictions,
    b: Predictions,
    *,
    metric: str,
    thresholds_a: Mapping[str, float],
    thresholds_b: Mapping[str, float],
    resamples: int,
    confidence: float,
    seed: int = 0,
    mode: Mode | None = None,
    rope: float = 0.0,
    power: float = POWER,
    names: tuple[str, str] = ("A", "B"),
) -> PairedDifference:
    """Compare two models on the same images, in whatever order each names them.

    Args:
        a: predictions of the one (a challenger).
        b: of the other (the champion), of the same split of the same data.
        metric: without its split: any of `classification_metrics`.
        thresholds_a: what `Predictions.decisions` takes, of A.
        thresholds_b: of B.
        resamples: bootstrap samples, the same for both; by group where there are groups.
        confidence: of the intervals, such as 0.95.
        seed: of the resampling.
        mode: whether a large value is good; None: as `direction` knows.
        rope: differences up to this are none in practice.
        power: of `resolvable` and `images_needed`.
        names: of the two, for messages.

    Raises:
        DataError: they are of other images, labels, classes or groups, or there is no such metric.
    """
    from medexp.evaluation.comparison.contrasts import Contrasts

    found = Contrasts(
        (a, b), names=names, metric=metric, thresholds=(thresholds_a, thresholds_b), resamples=resamples,
        confidence=confidence, seed=seed, mode=mode, rope=rope, power=power,
    )  # fmt: skip
    return found.between((0,), (1,))
