"""What a model is worth: operating points from validation, numbers from test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medexp.evaluation.aim import YOUDEN
from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.metrics import classification_metrics
from medexp.evaluation.operating_point import choose_thresholds
from medexp.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Evaluation:
    """The predictions of both held-out splits, and what was made of them.

    Args:
        val: of validation.
        test: of test.
        thresholds: by class name, chosen on `val` (choose_thresholds).
        metrics: those of `test` (classification_metrics); `threshold`, and what it achieves on validation, of a binary
            task; `threshold/<class>` of a multi-label one.
    """

    val: Predictions
    test: Predictions
    thresholds: Mapping[str, float]
    metrics: Mapping[str, float]


def evaluate(val: Predictions, test: Predictions) -> Evaluation:
    """Choose thresholds on `val`, measure `test` with them (or DataError: a split that cannot be scored)."""
    thresholds = choose_thresholds(val, aim=YOUDEN)
    chosen: dict[str, float] = {}
    if val.task == "binary":
        achieved = classification_metrics(val, thresholds=thresholds)
        chosen = {"threshold": thresholds[val.class_names[1]]}
        chosen |= {name: achieved[name] for name in ("val_sensitivity", "val_specificity")}
    elif val.task == "multilabel":
        keys = metric_keys(val.class_names)
        chosen = {f"threshold/{keys[name]}": value for name, value in thresholds.items()}
    return Evaluation(val, test, thresholds, {**chosen, **classification_metrics(test, thresholds=thresholds)})
