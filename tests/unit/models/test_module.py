"""The recipe of what is learned."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medexp.errors import ConfigError
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training.schedules import constant
from medexp.types import DataSpec, InputSpec


def module(learning_rate: float = 0.1) -> ClassifierModule:
    optimizer = partial(keras.optimizers.SGD, learning_rate=learning_rate)
    return ClassifierModule(network=simple_cnn, optimizer=optimizer, schedule=constant)


def auc_of(spec: DataSpec, targets: np.ndarray, scores: np.ndarray) -> float:
    (metric,) = [m for m in module().compile_args(spec, 1)["metrics"] if m.name == "auc"]
    metric.update_state(targets, scores)
    return float(metric.result())


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (4, 0), (2, -7), (2, 7)], ids=["mild", "sure", "rare", "common"])
def test_auc_is_the_exact_one_however_sure_or_rare(scale: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.3).astype("float32")
    scores = 1 / (1 + np.exp(-(scale * (rng.normal(size=2000) + 1.5 * labels) + shift)))
    spec = DataSpec("d", "binary", ("a", "b"), InputSpec(8, 8, 1), {}, "", "")
    found = auc_of(spec, labels[:, None], scores[:, None].astype("float32"))
    assert found == pytest.approx(roc_auc_score(labels, scores), abs=2e-3)


def test_auc_of_many_classes_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 900)
    logits = 3 * (rng.normal(size=(900, 3)) + 1.5 * np.eye(3)[labels])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    spec = DataSpec("d", "multiclass", ("a", "b", "c"), InputSpec(8, 8, 1), {}, "", "")
    found = auc_of(spec, np.eye(3, dtype="float32")[labels], scores.astype("float32"))
    assert found == pytest.approx(roc_auc_score(np.eye(3)[labels], scores, average="macro"), abs=3e-3)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_learning_rate_that_cannot_learn_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match=f"optimizer.learning_rate.*Received: {rate}"):
        module(rate)
