from __future__ import annotations

import numpy as np
import pytest

from medexp.evaluation.evaluation import evaluate
from medexp.evaluation.predictions import Predictions
from medexp.types import Split, Task


def predictions(split: Split, task: Task, labels: list[object], rows: list[list[float]]) -> Predictions:
    names = ("a", "b+") if len(rows[0]) == 2 else ("a", "b", "c")
    keys = tuple(map(str, range(len(rows))))
    return Predictions(split, keys, np.array(labels), np.array(rows, np.float32), names, task)


def test_the_threshold_of_validation_decides_the_test_split() -> None:
    val = predictions("val", "binary", [0, 1, 1], [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    test = predictions("test", "binary", [0, 1], [[0.75, 0.25], [0.9, 0.1]])
    found = evaluate(val, test)
    assert found.thresholds == {"b+": pytest.approx(0.2)}
    assert found.metrics["threshold"] == found.thresholds["b+"]
    assert (found.metrics["val_sensitivity"], found.metrics["val_specificity"]) == (1, 1)
    assert (found.metrics["test_sensitivity"], found.metrics["test_specificity"]) == (0, 0)
    assert "val_auc" not in found.metrics


def test_each_finding_has_a_threshold_among_the_metrics() -> None:
    val = predictions("val", "multilabel", [[0, 1], [1, 0]], [[0.2, 0.8], [0.6, 0.4]])
    test = predictions("test", "multilabel", [[0, 1], [1, 0]], [[0.3, 0.5], [0.5, 0.7]])
    found = evaluate(val, test)
    assert found.metrics["threshold/a"] == pytest.approx(0.4)
    assert found.metrics["threshold/b_"] == found.thresholds["b+"] == pytest.approx(0.6)
    assert found.metrics["test_accuracy"] == 2 / 4
    assert found.metrics["test_auc"] == 1 / 2


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_the_most_probable_class_needs_no_threshold(task: Task) -> None:
    val, test = (predictions(split, task, [0, 1, 2], np.eye(3).tolist()) for split in ("val", "test"))
    found = evaluate(val, test)
    assert found.thresholds == {}
    assert found.metrics["test_accuracy"] == 1
    assert {name.partition("_")[0] for name in found.metrics} == {"test"}
