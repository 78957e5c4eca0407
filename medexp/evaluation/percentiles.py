"""The intervals that bootstrap samples give."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from medexp.types import Estimate


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
    of Medical Tests, 2003, section 5.2.4); the deviation alone is taken of the samples.

    Args:
        samples: as `percentile_interval`.
        value: likewise.
        confidence: likewise.
        units: likewise.
    """
    deviation = float(samples.std()) * math.sqrt(1 + 1 / max(units - 1, 1.0))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * deviation / (value * (1 - value))
    centre = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-min(max(end, -700.0), 700.0))) for end in (centre - reach, centre + reach))
    return Estimate(value, low, high)
