"""Metrics of what was decided, and of probabilities one by one, of many weighted samples at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.one_against_rest import Question
from medexp.evaluation.predictions import Predictions
from medexp.types import Task

_EPSILON = float(np.finfo(np.float64).eps)  # no probability is less, lest one mistake be infinite


@dataclass(frozen=True)
class Counts:
    """Columns that the metrics are sums of, so that a sample costs one product of matrices.

    Args:
        task: what kind of labels.
        keys: of the classes that are told apart: of a binary task the positive one alone.
        columns: (n, m): for each of these classes truth, decision, both; then for each question the squared
            difference of probability and outcome; then log loss, share of right answers, whether all are right, and
            of ordered grades the distance and squared distance of decision and truth.
        questions: how many.
        question_keys: of these.
        grades: 0 to K - 1, of ordered grades and of a binary task.
    """

    task: Task
    keys: tuple[str, ...]
    columns: np.ndarray
    questions: int
    question_keys: tuple[str, ...]

    @classmethod
    def of(cls, predictions: Predictions, *, thresholds: Mapping[str, float], asked: Sequence[Question]) -> Counts:
        labels, task = predictions.labels, predictions.task
        decided = predictions.decisions(thresholds)
        keys = tuple(metric_keys(predictions.class_names).values())
        kept = (1,) if task == "binary" else tuple(range(len(keys)))
        if task == "multilabel":
            truth, called, right = labels.astype(bool), decided.astype(bool), labels == decided
        else:
            truth, called = (values[:, None] == np.array(kept) for values in (labels, decided))
            right = (labels == decided)[:, None]
        squares = np.stack([(q.scores - q.truth) ** 2 for q in asked], axis=1)
        extra = [_log_losses(predictions), right.mean(axis=1), right.all(axis=1)]
        if task == "ordinal":
            extra += [np.abs(labels - decided), (labels - decided) ** 2]
        columns = np.column_stack([truth, called, truth & called, squares, *extra]).astype(np.float64)
        question_keys = tuple(f"above {key}" for key in keys[:-1]) if task == "ordinal" else keys
        return cls(task, tuple(keys[i] for i in kept), columns, len(asked), question_keys)


def metrics_of_decisions(counts: Counts, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return metrics by name, (samples,) each; NaN where one has no meaning.

    Args:
        counts: of the images.
        weights: of the images, `float64`, (samples, n).
    """
    sums = weights @ counts.columns
    total = weights.sum(axis=1)
    classes = len(counts.keys)
    parts = np.split(sums, np.cumsum([classes, classes, classes, counts.questions]), axis=1)
    table = _Table(truth=parts[0], called=parts[1], both=parts[2], total=total[:, None])
    squares, extra = parts[3] / total[:, None], parts[4] / total[:, None]
    found = {"accuracy": extra[:, 1], "log_loss": extra[:, 0], "brier": squares.mean(axis=1)}
    each = table.metrics()
    if counts.task == "binary":
        found |= {name: values[:, 0] for name, values in each.items()}
        found["balanced_accuracy"] = (found["sensitivity"] + found["specificity"]) / 2
        grades = np.arange(2.0)
        disagreement = 1 - extra[:, 1]
        truth, called = (np.concatenate([total[:, None] - part, part], axis=1) for part in (table.truth, table.called))
        found["quadratic_kappa"] = _kappa(truth, called, disagreement, grades=grades)
        return found
    found |= {name: table.mean(values) for name, values in each.items()}
    if counts.task == "multilabel":
        found["subset_accuracy"] = extra[:, 2]
        found["balanced_accuracy"] = table.mean((each["sensitivity"] + each["specificity"]) / 2)
    else:
        found["balanced_accuracy"] = table.mean(each["sensitivity"], where=table.truth > 0)
        found["mcc"] = _mcc_of_all(table, right=extra[:, 1])
    if counts.task == "ordinal":
        found["mean_absolute_error"] = extra[:, 3]
        found["quadratic_kappa"] = _kappa(table.truth, table.called, extra[:, 4], grades=np.arange(float(classes)))
    for name, values in each.items():
        found |= {f"{name}/{key}": values[:, i] for i, key in enumerate(counts.keys)}
    found |= {f"brier/{key}": squares[:, i] for i, key in enumerate(counts.question_keys)}
    return found


@dataclass(frozen=True)
class _Table:
    """Confusion of each class against the rest: summed weights, (samples, classes); `total` (samples, 1)."""

    truth: np.ndarray
    called: np.ndarray
    both: np.ndarray
    total: np.ndarray

    def metrics(self) -> dict[str, np.ndarray]:
        negative, dismissed = self.total - self.truth, self.total - self.called
        rejected = negative - self.called + self.both  # rightly
        spread = np.sqrt(self.truth * negative * self.called * dismissed)
        mcc = self.both * rejected - (self.called - self.both) * (self.truth - self.both)
        return {
            "sensitivity": _ratio(self.both, self.truth),
            "specificity": _ratio(rejected, negative),
            "ppv": _ratio(self.both, self.called),
            "npv": _ratio(rejected, dismissed),
            "f1": np.where(self.truth > 0, _ratio(2 * self.both, self.truth + self.called), np.nan),
            "mcc": np.where(spread > 0, _ratio(mcc, spread), 0.0),
        }

    def mean(self, values: np.ndarray, *, where: np.ndarray | None = None) -> np.ndarray:
        """Over the classes of which both values occur. A class that is never called has a PPV of 0 in the mean."""
        defined = (self.truth > 0) & (self.truth < self.total) if where is None else where
        return mean_where(values, defined)


def mean_where(values: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Return the mean of each row (samples, classes) over the classes where it is defined; NaN where nowhere."""
    return _ratio(np.where(defined, np.nan_to_num(values), 0.0).sum(axis=1), defined.sum(axis=1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where the whole is 0."""
    ratio = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _mcc_of_all(table: _Table, *, right: np.ndarray) -> np.ndarray:
    """Of more than two classes (Gorodkin, Comput Biol Chem 28:367, 2004); 0 where one class is all that is said."""
    truth, called = table.truth / table.total, table.called / table.total
    covariance = right - (truth * called).sum(axis=1)
    spread = np.sqrt((1 - (truth**2).sum(axis=1)) * (1 - (called**2).sum(axis=1)))
    return np.where(spread > _EPSILON, _ratio(covariance, spread), 0.0)


def _kappa(truth: np.ndarray, called: np.ndarray, squared: np.ndarray, *, grades: np.ndarray) -> np.ndarray:
    """1 - observed / expected squared distance of two graders with these counts of grades, (samples, grades)."""
    shares = [counts / counts.sum(axis=1, keepdims=True) for counts in (truth, called)]
    means = [share @ grades for share in shares]
    expected = (shares[0] + shares[1]) @ grades**2 - 2 * means[0] * means[1]
    return 1 - _ratio(squared, np.where(expected > _EPSILON, expected, 0.0))


def _log_losses(predictions: Predictions) -> np.ndarray:
    """Of each image: minus the logarithm of the probability of what is true; multi-label: mean over the classes."""
    exact = predictions.probabilities.astype(np.float64)
    if predictions.task == "multilabel":
        true = np.where(predictions.labels == 1, exact, 1 - exact)
        return np.asarray(-np.log(true.clip(_EPSILON, 1)).mean(axis=1))
    exact = exact / exact.sum(axis=1, keepdims=True)  # rows of float32 miss 1 by a rounding
    return np.asarray(-np.log(exact[np.arange(len(exact)), predictions.labels].clip(_EPSILON, 1)))
