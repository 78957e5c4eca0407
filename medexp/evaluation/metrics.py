"""Metrics of one split's predictions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from medexp.errors import DataError
from medexp.evaluation.one_against_rest import Question, questions
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.weighted import WeightedMetrics

logger = logging.getLogger(__name__)


def classification_metrics(predictions: Predictions, *, thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return metrics named `<split>_<metric>`; one without meaning (the PPV where nobody is called) is left out.

    All tasks:

    - `auc`, `average_precision`: areas under the ROC curve and the precision-recall curve, of the positive class of a
      binary task, else means over classes, one against the rest, or over the cut points of an ordinal task.
    - `sensitivity`, `specificity`, `ppv`, `npv`, `f1`, `mcc` (Matthews, BBA 405:442, 1975) of what is decided: of the
      positive class, else means over classes, one against the rest; `mcc` of a multi-class or ordinal task is of all
      classes at once (Gorodkin, Comput Biol Chem 28:367, 2004).
    - `accuracy`, `balanced_accuracy` (mean of sensitivity and specificity; of more than two classes or grades mean
      sensitivity). Multi-label: `accuracy` is the share of right answers, an answer for each image and class, and
      `subset_accuracy` the share of images with all answers right.
    - `brier`: mean squared difference of probability and outcome, over images and classes or cut points. `log_loss`.

    Binary and ordinal: `quadratic_kappa` (weighted by the squared distance of grades; Cohen, Psychol Bull 70:213,
    1968; of two classes Cohen's kappa). Classes without order have no distance. Ordinal: `mean_absolute_error`, in
    grades.

    More than two classes: `<metric>/<class>` of those above, one against the rest (`metric_keys` says how a class is
    spelt); of cut points `auc/above <grade>`, likewise `average_precision` and `brier`.

    Means are over the classes or cut points of which both values occur; the log names the others. In them a class
    that is never called has a PPV of 0.

    Args:
        predictions: of one split. Except for multi-label, every class occurs in it.
        thresholds: what `Predictions.decisions` takes.

    Raises:
        DataError: of no class do both values occur.
    """
    asked = questions(predictions)
    defined = [question for question in asked if question.defined]
    if len(defined) < len(asked):
        _say_undefined(predictions, asked, defined)
    found = WeightedMetrics(predictions, thresholds=thresholds).value()
    return {f"{predictions.split}_{name}": value for name, value in found.items() if np.isfinite(value)}


def _say_undefined(predictions: Predictions, asked: Sequence[Question], defined: Sequence[Question]) -> None:
    missing = "; ".join(
        f"{q.name} ({'every' if q.truth.all() else 'no'} image)" for q in asked if not q.defined
    )  # fmt: skip
    if not defined:
        raise DataError(
            f"The {predictions.split} split cannot be scored: of no class has it images with and without. Received: "
            f"{missing}. Override: a larger data.split.{predictions.split}=..."
        )
    logger.warning(
        "%s: means are over %d of %d classes; of these one value only occurs: %s",
        predictions.split, len(defined), len(asked), missing,
    )  # fmt: skip
