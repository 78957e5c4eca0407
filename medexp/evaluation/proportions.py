"""Metrics that are shares of images, and the intervals that a binomial count has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.predictions import Predictions
from medexp.types import Estimate


@dataclass(frozen=True)
class Proportion:
    """A share: of the images `among`, those that are `right`; both bool, (n,)."""

    right: np.ndarray
    among: np.ndarray

    def interval(self, *, confidence: float, member: np.ndarray | None, deviation: float) -> Estimate:
        """Return the share with Wilson's interval (JASA 22:209, 1927): at 0 and 1 it does not collapse.

        Of groups, whose images resemble each other, it is that of as many independent images as have the deviation
        that the bootstrap by group found, with Student's t of the number of groups (Korn and Graubard, Surv Methodol
        24:193, 1998); at 0 and 1, where no deviation can be seen, as if each group were one image.

        Args:
            confidence: such as 0.95.
            member: number of the group of each image, (n,); None where each stands alone.
            deviation: of bootstrap samples; not used without groups.
        """
        images = int(self.among.sum())
        share = float(self.right[self.among].mean())
        if member is None:
            return wilson(share, images, z=NormalDist().inv_cdf((1 + confidence) / 2))
        from scipy.stats import t

        groups = len(np.unique(member[self.among]))
        effective = float(groups)
        if 0 < share < 1:
            seen = share * (1 - share) / deviation**2 if deviation > 0 else images
            effective = min(float(images), seen)
        return wilson(share, effective, z=float(t.ppf((1 + confidence) / 2, max(groups - 1, 1))))


def proportions(predictions: Predictions, *, thresholds: Mapping[str, float]) -> dict[str, Proportion]:
    """Return those metrics that are shares of images, by name; one of no image is left out."""
    found = dict(_proportions(predictions, thresholds))
    return {name: proportion for name, proportion in found.items() if proportion.among.any()}


def wilson(share: float, images: float, *, z: float) -> Estimate:
    """Return Wilson's score interval about a share of `images`, which need not be a whole number."""
    shrunk = 1 + z**2 / images
    centre = (share + z**2 / (2 * images)) / shrunk
    half = z * math.sqrt(share * (1 - share) / images + (z / (2 * images)) ** 2) / shrunk
    return Estimate(share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share))


def mean_of_independent(parts: list[Estimate]) -> Estimate:
    """Return the mean of estimates from different images (MOVER: Zou and Donner, Stat Med 27:1693, 2008)."""
    count = len(parts)
    value = sum(part.value for part in parts) / count
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in parts)) / count
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in parts)) / count
    return Estimate(value, max(value - below, 0.0), min(value + above, 1.0))


def _proportions(predictions: Predictions, thresholds: Mapping[str, float]) -> dict[str, Proportion]:
    labels, decided = predictions.labels, predictions.decisions(thresholds)
    every = np.ones(len(labels), bool)
    if predictions.task == "binary":
        return {"accuracy": Proportion(labels == decided, every)} | _of_class(labels == 1, decided == 1, suffix="")
    found: dict[str, Proportion] = {}
    if predictions.task == "multilabel":
        found["subset_accuracy"] = Proportion((labels == decided).all(axis=1), every)
    else:
        found["accuracy"] = Proportion(labels == decided, every)
    for i, key in enumerate(metric_keys(predictions.class_names).values()):
        if predictions.task == "multilabel":
            found |= _of_class(labels[:, i] == 1, decided[:, i] == 1, suffix=f"/{key}")
        else:
            found |= _of_class(labels == i, decided == i, suffix=f"/{key}")
    return found


def _of_class(truth: np.ndarray, called: np.ndarray, *, suffix: str) -> dict[str, Proportion]:
    return {
        f"sensitivity{suffix}": Proportion(called, truth),
        f"specificity{suffix}": Proportion(~called, ~truth),
        f"ppv{suffix}": Proportion(truth, called),
        f"npv{suffix}": Proportion(~truth, ~called),
    }
