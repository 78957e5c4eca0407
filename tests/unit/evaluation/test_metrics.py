from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from medexp.errors import DataError
from medexp.evaluation.metrics import classification_metrics
from medexp.evaluation.predictions import Predictions


def binary(labels: list[int], scores: list[float]) -> Predictions:
    positive = np.array(scores, np.float32)
    keys = tuple(f"{i}.png" for i in range(len(labels)))
    return Predictions(
        "test", keys, np.array(labels), np.stack([1 - positive, positive], axis=1), ("no", "yes"), "binary"
    )


def multiclass(labels: list[int], rows: list[list[float]]) -> Predictions:
    names = tuple("abcdef"[: len(rows[0])])
    return Predictions(
        "val", tuple(map(str, range(len(labels)))), np.array(labels), np.array(rows, np.float32), names, "multiclass"
    )


SMALL = binary([0, 0, 0, 1, 1], [0.125, 0.25, 0.75, 0.5, 0.875])
# of the six pairs (negative, positive) five are in order; at 0.5 one of three negatives is called positive


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("auc", 5 / 6),
        ("accuracy", 4 / 5),
        ("sensitivity", 1.0),
        ("specificity", 2 / 3),
        ("balanced_accuracy", (1 + 2 / 3) / 2),
        ("f1", 2 * 2 / (2 * 2 + 1 + 0)),
        ("average_precision", 0.5 * 1 + 0.5 * 2 / 3),
        ("brier", (0.125**2 + 0.25**2 + 0.75**2 + 0.5**2 + 0.125**2) / 5),
        ("log_loss", -np.log([0.875, 0.75, 0.25, 0.5, 0.875]).mean()),
    ],
)
def test_a_binary_metric_is_what_it_is_by_hand(metric: str, value: float) -> None:
    assert classification_metrics(SMALL, thresholds={"yes": 0.5})[f"test_{metric}"] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("threshold", "sensitivity", "specificity"), [(0.8, 0.5, 1), (0.5, 1, 2 / 3), (0.51, 0.5, 2 / 3), (0.1, 1, 0)]
)
def test_the_threshold_decides_and_a_score_equal_to_it_is_positive(
    threshold: float, sensitivity: float, specificity: float
) -> None:
    found = classification_metrics(SMALL, thresholds={"yes": threshold})
    assert (found["test_sensitivity"], found["test_specificity"]) == pytest.approx((sensitivity, specificity))


def test_what_does_not_depend_on_decisions_does_not_depend_on_the_threshold() -> None:
    low, high = (classification_metrics(SMALL, thresholds={"yes": t}) for t in (0.1, 0.9))
    for name in ("auc", "average_precision", "log_loss", "brier"):
        assert low[f"test_{name}"] == high[f"test_{name}"]


def test_no_positive_decision_has_an_f1_of_zero() -> None:
    assert classification_metrics(SMALL, thresholds={"yes": 0.99})["test_f1"] == 0.0


THREE = multiclass(
    [0, 1, 2, 0, 1, 2],
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.75, 0.125, 0.125], [0, 1, 0], [0.125, 0.125, 0.75]],
)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 5 / 6),
        ("balanced_accuracy", (1 + 1 + 0.5) / 3),
        ("f1", (4 / 5 + 1 + 2 / 3) / 3),
        ("auc", ((7 + 0.5) / 8 + 1 + (6 + 2 * 0.5) / 8) / 3),
    ],
)
def test_a_metric_of_three_classes_is_what_it_is_by_hand(metric: str, value: float) -> None:
    assert classification_metrics(THREE, thresholds={})[f"val_{metric}"] == pytest.approx(value, abs=1e-6)


def test_classes_have_metrics_of_their_own_beside_their_mean() -> None:
    found = classification_metrics(THREE, thresholds={})
    whole = {name for name in found if "/" not in name}
    ranked = {"auc", "average_precision", "brier"}
    decided = {"sensitivity", "specificity", "ppv", "npv", "f1", "mcc"}
    assert whole == {f"val_{name}" for name in ranked | decided | {"accuracy", "balanced_accuracy", "log_loss"}}
    assert set(found) - whole == {f"val_{name}/{key}" for name in ranked | decided for key in "abc"}
    for name in ranked | decided - {"mcc"}:
        assert found[f"val_{name}"] == pytest.approx(np.mean([found[f"val_{name}/{key}"] for key in "abc"]))


def test_a_metric_without_meaning_is_left_out() -> None:
    found = classification_metrics(SMALL, thresholds={"yes": 0.99})
    assert "test_ppv" not in found
    assert np.isfinite(list(found.values())).all()


def test_random_predictions_have_the_metrics_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 500), rng.random(500).astype(np.float32)
    found = classification_metrics(binary(labels.tolist(), scores.tolist()), thresholds={"yes": 0.3})
    called = scores >= 0.3
    assert found == pytest.approx(
        {
            "test_accuracy": sk.accuracy_score(labels, called),
            "test_balanced_accuracy": sk.balanced_accuracy_score(labels, called),
            "test_log_loss": sk.log_loss(labels, scores.astype(float)),
            "test_auc": sk.roc_auc_score(labels, scores),
            "test_average_precision": sk.average_precision_score(labels, scores),
            "test_f1": sk.f1_score(labels, called),
            "test_sensitivity": sk.recall_score(labels, called),
            "test_specificity": sk.recall_score(1 - labels, ~called),
            "test_brier": sk.brier_score_loss(labels, scores),
            "test_ppv": sk.precision_score(labels, called),
            "test_npv": sk.precision_score(1 - labels, ~called),
            "test_mcc": sk.matthews_corrcoef(labels, called),
            "test_quadratic_kappa": sk.cohen_kappa_score(labels, called, weights="quadratic"),
        },
        abs=1e-6,
    )


def test_every_metric_is_a_plain_number() -> None:
    for found in (classification_metrics(SMALL, thresholds={"yes": 0.5}), classification_metrics(THREE, thresholds={})):
        assert {type(value) for value in found.values()} == {float}


@pytest.mark.filterwarnings("error")
def test_rows_that_miss_one_by_a_rounding_need_no_warning() -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(6), 300).astype(np.float32)
    classification_metrics(multiclass((np.arange(300) % 6).tolist(), rows.tolist()), thresholds={})


NAMES = ("mass", "edema (mild)", "hernia")
FINDINGS = Predictions(
    "test",
    tuple("abcd"),
    np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]),
    np.array([[0.75, 0.25, 0.5], [0.5, 0.5, 0.125], [0.875, 0.125, 0.125], [0.625, 0.0625, 0.125]], np.float32),
    NAMES,
    "multilabel",
)
AT = {"mass": 0.6, "edema (mild)": 0.25, "hernia": 0.5}
# decided: [1, 1, 1], [0, 1, 0], [1, 0, 0], [1, 0, 0]; nobody has a hernia


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("auc", (1 + 3 / 4) / 2),
        ("auc/mass", 1.0),
        ("auc/edema _mild_", 3 / 4),
        ("average_precision", (1 + (1 + 2 / 3) / 2) / 2),
        ("accuracy", 8 / 12),
        ("subset_accuracy", 1 / 4),
        ("f1", (2 * 2 / (2 * 2 + 1 + 0) + 2 * 1 / (2 * 1 + 1 + 1)) / 2),
        (
            "log_loss",
            -np.log([0.75, 0.5, 0.875, 0.375, 0.75, 0.5, 0.125, 0.9375, 0.5, 0.875, 0.875, 0.875]).mean(),
        ),
    ],
)
def test_a_metric_of_findings_is_what_it_is_by_hand(metric: str, value: float) -> None:
    assert classification_metrics(FINDINGS, thresholds=AT)[f"test_{metric}"] == pytest.approx(value, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_finding_that_nobody_has_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    found = classification_metrics(FINDINGS, thresholds=AT)
    assert "test_auc/hernia" not in found
    assert np.isfinite(list(found.values())).all()
    assert "means are over 2 of 3" in caplog.text
    assert "hernia (no image)" in caplog.text


def test_a_split_of_which_nothing_can_be_ranked_is_a_data_error() -> None:
    nothing = replace(FINDINGS, labels=np.array([[0, 0, 1]] * 4))
    with pytest.raises(DataError, match=r"test split cannot be scored.*mass \(no image\).*hernia \(every image\)"):
        classification_metrics(nothing, thresholds=AT)


def test_names_that_differ_in_signs_only_stay_two_metrics() -> None:
    found = classification_metrics(
        replace(FINDINGS, class_names=("a+", "a-+", "a(")), thresholds={"a+": 0.5, "a-+": 0.5, "a(": 0.5}
    )
    assert {name for name in found if name.startswith("test_auc/")} == {"test_auc/a_ 0", "test_auc/a-_ 1"}


def test_names_of_metrics_are_accepted_by_mlflow() -> None:
    from mlflow.utils.validation import _validate_metric_name

    odd = ("../x", "a/b:c", "ü, (ß)")
    predictions = replace(FINDINGS, class_names=odd, labels=1 - FINDINGS.labels % 2)
    for name in classification_metrics(predictions, thresholds=dict.fromkeys(odd, 0.5)):
        _validate_metric_name(name)


GRADES = Predictions(
    "test",
    tuple("abcdef"),
    np.array([0, 0, 1, 1, 2, 2]),
    np.array(
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.75, 0.125], [0, 0.25, 0.75], [0.625, 0.125, 0.25], [0, 0, 1]],
        np.float32,
    ),
    ("none", "mild", "severe"),
    "ordinal",
)
# decided: 0, 1, 1, 2, 0, 2; above none: .5 .75 | .875 1 .375 1; above mild: .25 .25 .125 .75 | .25 1


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 3 / 6),
        ("balanced_accuracy", 3 / 6),
        ("mean_absolute_error", (0 + 1 + 0 + 1 + 2 + 0) / 6),
        # observed squared distances 0 1 0 1 4 0; expected of 36 pairs: both have two of each grade
        ("quadratic_kappa", 1 - (6 / 6) / ((4 * (1 + 4 + 1 + 1 + 4 + 1)) / 36)),
        ("auc", (6 / 8 + (2 * 0.5 + 1 + 0 + 4) / 8) / 2),
        ("log_loss", -np.log([0.5, 0.25, 0.75, 0.25, 0.25, 1]).mean()),
    ],
)
def test_a_metric_of_grades_is_what_it_is_by_hand(metric: str, value: float) -> None:
    assert classification_metrics(GRADES, thresholds={})[f"test_{metric}"] == pytest.approx(value, abs=1e-6)


def test_kappa_counts_a_mistake_by_the_square_of_its_distance() -> None:
    rows = np.eye(3)[[0, 1, 2, 0]]
    far = Predictions("test", tuple("abcd"), np.array([0, 1, 2, 2]), rows, ("none", "mild", "severe"), "ordinal")
    # decided 0, 1, 2, 0: observed 4 / 4; expected of the 16 pairs 26 / 16
    found = classification_metrics(far, thresholds={})["test_quadratic_kappa"]
    assert found == pytest.approx(1 - (4 / 4) / (26 / 16))


def test_grades_of_two_are_no_binary_task() -> None:
    two = Predictions("val", tuple("ab"), np.array([0, 1]), np.array([[1, 0], [0.5, 0.5]]), ("a", "b"), "ordinal")
    found = classification_metrics(two, thresholds={})
    assert found["val_auc"] == 1.0
    assert found["val_sensitivity"] == found["val_balanced_accuracy"] == 0.5  # of both grades, not of a positive one
    assert found["val_quadratic_kappa"] == 0.0
