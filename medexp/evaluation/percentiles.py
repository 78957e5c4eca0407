"""The intervals that bootstrap samples give."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from medexp.types import Estimate

_RANKED = ("auc", "average_precision")
_NONE = 1e-12


def bootstrap_interval(name: str, samples: np.ndarray, *, value: float, confidence: float, units: float) -> Estimate:
    """Return `value` with the interval that its metric has everywhere: areas `logit_interval`, else percentiles.

    Args:
        name: of the metric, such as `auc/nodule`.
        samples: as `percentile_interval`.
        value: likewise.
        confidence: likewise.
        units: likewise.
    """
    interval = logit_interval if name.partition("/")[0] in _RANKED and 0 < value < 1 else percentile_interval
    return interval(samples, value=value, confidence=confidence, units=units)


def percentile_interval(samples: np.ndarray, *, value: float, confidence: float, units: float) -> Estimate:
    """Return `value` with bias-corrected, expanded percentiles of bootstrap samples of it.

    The correction for median bias is Efron's (JASA 82:171, 1987, without acceleration). Bootstrap samples of few units
    vary too little, by sqrt((n - 1) / n), and their percentiles are the normal's where Student's are due: both are made
    good by taking percentiles further out (Hesterberg, Am Stat 69:371, 2015).

    Args:
        samples: finite, (samples,).
        value: of the metric.
        confidence: such as 0.95.
        units: about how many independent units decide how the metric varies.
    """
    from scipy.stats import t

    normal = NormalDist()
    below = (np.count_nonzero(samples < value) + np.count_nonzero(samples == value) / 2 + 0.5) / (len(samples) + 1)
    bias = normal.inv_cdf(below)
    freedom = max(units - 1, 1.0)
    reach = math.sqrt(1 + 1 / freedom) * float(t.ppf((1 + confidence) / 2, freedom))
    low, high = np.quantile(samples, [normal.cdf(2 * bias - reach), normal.cdf(2 * bias + reach)])
    return Estimate(value, min(float(low), value), max(float(high), value))


def logit_interval(samples: np.ndarray, *, value: float, confidence: float, units: float) -> Estimate:
    """Return `value`, an area above 0 and below 1, with an interval that is symmetric in its log odds.

    Near 1, where few positive images are ranked wrongly, percentiles cover too little (Pepe, The Statistical Evaluation
    of Medical Tests, 2003, section 5.2.4); the deviation alone is taken of the samples. Of few units it is itself
    uncertain, hence Student's t; a single one says nothing of it, and hardly anything is ruled out.

    Args:
        samples: as `percentile_interval`.
        value: likewise.
        confidence: likewise.
        units: likewise.
    """
    from scipy.stats import t

    freedom = max(units - 1, 1.0)
    seen = float(samples.std())
    if seen < _NONE:  # all samples agree, as those of one patient do: the largest that an area can have
        seen = math.sqrt(value * (1 - value) / max(units, 1.0))
    deviation = seen * math.sqrt(1 + 1 / freedom)
    reach = float(t.ppf((1 + confidence) / 2, freedom)) * deviation / (value * (1 - value))
    centre = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-min(max(end, -700.0), 700.0))) for end in (centre - reach, centre + reach))
    return Estimate(value, low, high)
