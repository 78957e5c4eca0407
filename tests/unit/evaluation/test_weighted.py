"""Metrics of weighted images, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from medexp.evaluation.predictions import Predictions
from medexp.evaluation.ranking import Ranking
from medexp.evaluation.weighted import WeightedMetrics
from medexp.types import Task

RNG = np.random.default_rng(0)
N, NAMES = 300, ("a", "b", "c", "d")


def drawn(task: Task, *, ties: bool = False) -> Predictions:
    """Predictions somewhat better than chance; `ties` has few distinct probabilities."""
    names = ("no", "yes") if task == "binary" else NAMES
    labels = RNG.integers(0, len(names), N)
    logits = RNG.normal(size=(N, len(names))) + 1.2 * np.eye(len(names))[labels]
    if task == "multilabel":
        labels = (RNG.random((N, len(names))) < 0.3).astype(int)
        rows = 1 / (1 + np.exp(-(RNG.normal(size=labels.shape) + labels)))
    else:
        rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if ties:
        rows = np.rint(rows * 8) / 8
        rows = rows if task == "multilabel" else (rows + 1 / 64) / (rows + 1 / 64).sum(axis=1, keepdims=True)
    return Predictions("test", tuple(map(str, range(N))), labels, rows.astype(np.float32), names, task)


def weights(kind: str) -> np.ndarray:
    if kind == "counts":
        return RNG.poisson(1.0, (4, N)).astype(np.int32)
    return RNG.gamma(1.0, size=(4, N))


def one_against_rest(truth: np.ndarray, scores: np.ndarray, called: np.ndarray, w: np.ndarray) -> dict[str, float]:
    given = {"sample_weight": w}
    return {
        "auc": sk.roc_auc_score(truth, scores, **given),
        "average_precision": sk.average_precision_score(truth, scores, **given),
        "brier": sk.brier_score_loss(truth, scores, **given),
        **decided(truth, called, w),
    }


def decided(truth: np.ndarray, called: np.ndarray, w: np.ndarray) -> dict[str, float]:
    given = {"sample_weight": w}
    return {
        "sensitivity": sk.recall_score(truth, called, **given),
        "specificity": sk.recall_score(1 - truth, 1 - called, **given),
        "ppv": sk.precision_score(truth, called, **given),
        "npv": sk.precision_score(1 - truth, 1 - called, **given),
        "f1": sk.f1_score(truth, called, **given),
        "mcc": sk.matthews_corrcoef(truth, called, **given),
    }


def means(parts: dict[str, dict[str, float]]) -> dict[str, float]:
    found = {f"{name}/{key}": value for key, part in parts.items() for name, value in part.items()}
    names = next(iter(parts.values()))
    return found | {name: float(np.mean([part[name] for part in parts.values()])) for name in names}


def of_scikit_learn(p: Predictions, thresholds: dict[str, float], w: np.ndarray) -> dict[str, float]:
    rows, given = p.probabilities.astype(np.float64), {"sample_weight": w}
    called, labels = p.decisions(thresholds), p.labels
    if p.task == "binary":
        return one_against_rest(labels, rows[:, 1], called, w) | {
            "accuracy": sk.accuracy_score(labels, called, **given),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, called, **given),
            "log_loss": sk.log_loss(labels, rows / rows.sum(axis=1, keepdims=True), **given),
            "quadratic_kappa": sk.cohen_kappa_score(labels, called, weights="quadratic", **given),
        }
    if p.task == "multilabel":
        found = means(
            {n: one_against_rest(labels[:, i], rows[:, i], called[:, i], w) for i, n in enumerate(p.class_names)}
        )
        each = [sk.log_loss(labels[:, i], rows[:, i], **given) for i in range(4)]
        return found | {
            "accuracy": np.mean([sk.accuracy_score(labels[:, i], called[:, i], **given) for i in range(4)]),
            "subset_accuracy": sk.accuracy_score(labels, called, **given),
            "balanced_accuracy": np.mean(
                [sk.balanced_accuracy_score(labels[:, i], called[:, i], **given) for i in range(4)]
            ),
            "log_loss": np.mean(each),
        }
    whole = {
        "accuracy": sk.accuracy_score(labels, called, **given),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, called, **given),
        "log_loss": sk.log_loss(labels, rows / rows.sum(axis=1, keepdims=True), **given),
        "mcc": sk.matthews_corrcoef(labels, called, **given),
    }
    one_hot = np.eye(4, dtype=int)
    if p.task == "multiclass":
        parts = {
            n: one_against_rest(one_hot[labels][:, i], rows[:, i], one_hot[called][:, i], w)
            for i, n in enumerate(p.class_names)
        }
        return means(parts) | whole
    above = {
        f"above {n}": one_against_rest((labels > i).astype(int), rows[:, i + 1 :].sum(axis=1), called > i, w)
        for i, n in enumerate(p.class_names[:-1])
    }
    above = {
        key: {k: v for k, v in part.items() if k in ("auc", "average_precision", "brier")}
        for key, part in above.items()
    }
    grades = {n: decided(one_hot[labels][:, i], one_hot[called][:, i], w) for i, n in enumerate(p.class_names)}
    return means(above) | means(grades) | whole | {
        "quadratic_kappa": sk.cohen_kappa_score(labels, called, weights="quadratic", **given),
        "mean_absolute_error": sk.mean_absolute_error(labels, called, **given),
    }  # fmt: skip


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("kind", ["counts", "real"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "ordinal"])
def test_every_metric_agrees_with_scikit_learn_for_any_weights(task: Task, kind: str, ties: bool) -> None:
    p = drawn(task, ties=ties)
    thresholds = {}
    if task in ("binary", "multilabel"):
        thresholds = dict.fromkeys(p.class_names if task == "multilabel" else ("yes",), 0.45)
    samples = weights(kind)
    found = WeightedMetrics(p, thresholds=thresholds).values(samples)
    for i, w in enumerate(samples):
        row = {name: values[i] for name, values in found.items()}
        assert row == pytest.approx(of_scikit_learn(p, thresholds, w), abs=1e-9)


def test_only_what_is_asked_for_is_computed() -> None:
    p = drawn("multiclass")
    samples = weights("counts")
    whole = WeightedMetrics(p, thresholds={}).values(samples)
    for only in (["auc"], ["auc/b", "mcc"], ["sensitivity/c"]):
        found = WeightedMetrics(p, thresholds={}, only=only).values(samples)
        assert set(found) == set(only)
        assert all((values == whole[name]).all() for name, values in found.items())


def test_a_sample_without_a_class_has_no_metric_of_it_and_its_mean_is_over_the_others() -> None:
    p = drawn("multiclass")
    sample = (p.labels != 2).astype(float)[None]
    found = {name: float(values[0]) for name, values in WeightedMetrics(p, thresholds={}).values(sample).items()}
    assert all(np.isnan(found[f"{name}/c"]) for name in ("auc", "average_precision", "sensitivity", "f1"))
    for name in ("auc", "sensitivity", "f1"):
        assert found[name] == pytest.approx(np.mean([found[f"{name}/{key}"] for key in "abd"]))


def test_a_class_that_is_never_called_counts_as_a_ppv_of_zero_in_the_mean() -> None:
    rows = np.array([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1]], np.float32)
    p = Predictions("test", tuple("abc"), np.array([0, 1, 2]), rows, ("a", "b", "c"), "multiclass")
    found = WeightedMetrics(p, thresholds={}).value()
    assert np.isnan(found["ppv/c"])
    assert found["ppv"] == pytest.approx((0.5 + 1 + 0) / 3)


def test_a_split_of_one_class_has_no_curve() -> None:
    for label in (0, 1):
        auc, precision = Ranking(np.full(5, label), np.arange(5.0)).areas(np.ones((2, 5)))
        assert np.isnan([*auc, *precision]).all()
