"""All metrics of one split for any weights of its images: the same code gives a value and its bootstrap samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from medexp.evaluation.decided import Counts, mean_where, metrics_of_decisions
from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.ranking import Ranking

_AREAS = ("auc", "average_precision")


class WeightedMetrics:
    """Metrics of `predictions`, prepared once; an image of weight 2 counts as two images.

    `classification_metrics` says which there are. They agree with scikit-learn's `sample_weight`.

    Args:
        predictions: of one split.
        thresholds: what `Predictions.decisions` takes.
        only: names (without the split) that are wanted, so that nothing else is computed; None: all. Names that the
            task has not are no error: `values` does not hold them.
    """

    def __init__(
        self, predictions: Predictions, *, thresholds: Mapping[str, float], only: Collection[str] | None = None
    ) -> None:
        self._only = only
        self._alone = predictions.task == "binary"
        asked = questions(predictions)
        self._keys = _keys_of_questions(predictions)
        wanted = [name.partition("/")[0] in _AREAS for name in only] if only is not None else [True, False]
        self._rankings = [Ranking(q.truth, q.scores) for q in asked] if any(wanted) else []
        self._truth = np.stack([q.truth for q in asked], axis=1).astype(np.float64)
        self._counts = Counts.of(predictions, thresholds=thresholds, asked=asked) if not all(wanted) else None

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return each metric of each sample, (samples,), by name without the split; NaN where it has no meaning.

        Means over classes (or cut points) are over those of which both values occur in the sample.

        Args:
            weights: of the images, 0 or more, (samples, n).
        """
        exact = weights.astype(np.float64)
        found: dict[str, np.ndarray] = {}
        if self._rankings:
            found |= self._areas(weights, exact)
        if self._counts is not None:
            found |= metrics_of_decisions(self._counts, exact)
        return found if self._only is None else {name: found[name] for name in found if name in self._only}

    def value(self) -> dict[str, float]:
        """Return each metric of the images as they are."""
        ones = np.ones((1, len(self._truth)))
        return {name: float(values[0]) for name, values in self.values(ones).items()}

    def _areas(self, weights: np.ndarray, exact: np.ndarray) -> dict[str, np.ndarray]:
        pairs = [ranking.areas(weights) for ranking in self._rankings]
        each = {
            "auc": np.stack([auc for auc, _ in pairs], axis=1),
            "average_precision": np.stack([precision for _, precision in pairs], axis=1),
        }
        if self._alone:
            return {name: values[:, 0] for name, values in each.items()}
        positive, total = exact @ self._truth, exact.sum(axis=1, keepdims=True)
        both = (positive > 0) & (positive < total)
        found = {name: mean_where(values, both) for name, values in each.items()}
        for name, values in each.items():
            found |= {f"{name}/{key}": values[:, i] for i, key in enumerate(self._keys)}
        return found


def _keys_of_questions(predictions: Predictions) -> tuple[str, ...]:
    """What `/<class>` is for each question: of an ordinal task `/above <grade>`."""
    keys = tuple(metric_keys(predictions.class_names).values())
    if predictions.task == "ordinal":
        return tuple(f"above {key}" for key in keys[:-1])
    return keys
