"""What a positive or negative answer means where the finding is rarer, or more common, than in the data."""

from __future__ import annotations

import math


def predictive_values(sensitivity: float, specificity: float, *, prevalence: float) -> tuple[float, float]:
    """Return positive and negative predictive value at a prevalence, by Bayes' theorem; NaN where nobody is called so.

    Args:
        sensitivity: share of images with the finding that are called positive, 0 to 1.
        specificity: share of images without it that are called negative, 0 to 1.
        prevalence: share of images with the finding where the model is used, 0 to 1.
    """
    found, missed = sensitivity * prevalence, (1 - sensitivity) * prevalence
    right, false = specificity * (1 - prevalence), (1 - specificity) * (1 - prevalence)
    positive, negative = found + false, right + missed
    return (found / positive if positive else math.nan, right / negative if negative else math.nan)
