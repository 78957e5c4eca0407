"""What an operating point does on the test split, and what its answers mean elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medexp.decision.operating_point import OperatingPoint
from medexp.decision.predictive_values import predictive_values
from medexp.evaluation.decision_curve import decision_curves
from medexp.evaluation.evidence import OperatingSection, PredictiveValues
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.prevalence import prevalence_by_class
from medexp.evaluation.share import Share
from medexp.types import Estimate

_SHOWN = ("sensitivity", "specificity", "ppv", "npv")
_DRAWS = 10_000


def operating_section(
    test: Predictions,
    *,
    chosen: OperatingPoint,
    prevalence: float | Mapping[str, float] | None,
    resamples: int,
    confidence: float,
) -> OperatingSection:
    """Return what `chosen` does on `test`; each metric of several classes is of each against the rest.

    PPV and NPV at a stated prevalence hold where sensitivity and specificity are those of `test`: where the images of a
    class are alike, and only how many there are differs. Their intervals come from the posteriors of the two shares
    with Jeffreys' prior (Mossman and Berger, Med Decis Making 21:498, 2001), which have a width also where no image
    of `test` was called wrongly.

    Args:
        test: calibrated.
        chosen: on validation.
        prevalence: what `prevalence_by_class` takes.
        resamples: bootstrap samples; 0: no intervals.
        confidence: of each interval.

    Raises:
        ConfigError: a prevalence of a class that is not there.
    """
    stated = prevalence_by_class(prevalence, class_names=test.class_names, task=test.task)
    keys = metric_keys(test.class_names).values()
    shown = {*_SHOWN, *(f"{name}/{key}" for name in _SHOWN for key in keys)}
    found = metric_estimates(test, thresholds=chosen.thresholds, resamples=resamples, confidence=confidence, only=shown)
    told = confidence if resamples else None
    decided = test.decisions(chosen.thresholds)
    at: dict[str, PredictiveValues] = {}
    for name, share in stated.items():
        i = test.class_names.index(name)
        truth, called = (v[:, i] == 1 if test.task == "multilabel" else v == i for v in (test.labels, decided))
        at[name] = _predictive_values(test, truth, called, share, told)
    return OperatingSection(
        chosen=chosen,
        test=found,
        at_prevalence=at,
        curve=decision_curves(test),
    )


def _predictive_values(
    test: Predictions, truth: np.ndarray, called: np.ndarray, prevalence: float, confidence: float | None
) -> PredictiveValues:
    groups = None if test.groups is None else np.asarray(test.groups)
    parts = [
        Share.of(hits[rows], None if groups is None else groups[rows])
        for hits, rows in ((called, truth), (~called, ~truth))
    ]
    values = predictive_values(parts[0].value, parts[1].value, prevalence=prevalence)
    if confidence is None or not all(part.size for part in parts):
        return PredictiveValues(prevalence, *(Estimate(value, value, value) for value in values))
    rng = np.random.default_rng(0)
    pairs = zip(*(part.draws(_DRAWS, rng=rng) for part in parts), strict=True)
    drawn = np.array([predictive_values(float(a), float(b), prevalence=prevalence) for a, b in pairs])
    ends = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    found = [
        Estimate(value, float(np.fmin(value, low)), float(np.fmax(value, high)))
        for value, low, high in zip(values, *ends, strict=True)
    ]
    return PredictiveValues(prevalence, *found)
