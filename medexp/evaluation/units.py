"""How many independent units stand behind a metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Units:
    """Images or groups, by class.

    Args:
        member: number of the group of each image, (n,); None where each stands alone.
        images_of_one: mean number of images of a unit: of each class; of all, for multi-label.
        of_class: by key of the class (or cut point), the smaller number of units with and without it, if both occur.
        alone: whether there is one question only.
        all: units.
    """

    member: np.ndarray | None
    images_of_one: tuple[float, ...]
    of_class: Mapping[str, int]
    alone: bool
    all: int

    @classmethod
    def of(cls, predictions: Predictions) -> Units:
        member = None
        if predictions.groups is not None:
            _, member = np.unique(np.asarray(predictions.groups), return_inverse=True)

        def units(images: np.ndarray) -> int:
            return int(images.sum()) if member is None else len(np.unique(member[images]))

        def size(images: np.ndarray) -> float:
            return float(images.sum()) / units(images) if images.any() else size(np.ones_like(images))

        keys = list(metric_keys(predictions.class_names).values())
        truths = {keys[i]: _truth(predictions, i) for i in range(len(keys))}
        if predictions.task == "ordinal":
            truths |= {f"above {key}": q.truth == 1 for key, q in zip(keys[:-1], questions(predictions), strict=True)}
        of_class = {key: count for key, truth in truths.items() if (count := min(units(truth), units(~truth)))}
        sizes = tuple(size(truths[key]) for key in keys)
        if predictions.task == "multilabel":
            sizes = (size(np.ones(len(predictions.labels), bool)),) * 2
        return cls(member, sizes, of_class, predictions.task == "binary", units(np.ones(len(predictions.labels), bool)))

    def behind(self, name: str, samples: Mapping[str, np.ndarray]) -> float:
        """Return about how many units decide how a metric varies.

        Of one class: of the rarer answer. Of a mean over classes: Satterthwaite's (Biometrics Bull 2:110, 1946), so
        that one rare class counts as much as its share of the variance. Of all classes at once: their harmonic mean.
        Where all images are of one class: all.

        Args:
            name: of the metric.
            samples: of all metrics, by name.
        """
        whole, _, key = name.partition("/")
        counts = list(self.of_class.values())
        if not counts:
            return float(self.all)
        if self.alone:
            return float(min(counts))
        if key:
            return float(self.of_class.get(key, min(counts)))
        variances = {key: _variance(samples.get(f"{whole}/{key}", np.empty(0))) for key in self.of_class}
        if total := sum(variances.values()):
            return total**2 / sum(v**2 / max(self.of_class[key] - 1, 1) for key, v in variances.items()) + 1
        return len(counts) / sum(1 / count for count in counts)


def _variance(drawn: np.ndarray) -> float:
    """Of the samples in which a metric has a meaning; 0 where it has none in any, as the PPV of what is never said."""
    told = drawn[np.isfinite(drawn)]
    return float(told.var()) if len(told) else 0.0


def _truth(predictions: Predictions, i: int) -> np.ndarray:
    labels = predictions.labels
    return np.asarray(labels[:, i] == 1 if predictions.task == "multilabel" else labels == i)
