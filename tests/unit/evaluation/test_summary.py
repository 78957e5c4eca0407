from __future__ import annotations

from pathlib import Path

import pytest

from medexp.evaluation.summary import print_summary
from medexp.types import DataSpec, InputSpec, Objective, RunResult, Task


def summary(task: Task, metrics: dict[str, float], capsys: pytest.CaptureFixture[str], **more: int) -> str:
    names = ("no", "yes") if task == "binary" else ("none", "mild", "severe")
    counts = {"test": dict.fromkeys(names, 5)}
    data = DataSpec("d", task, names, InputSpec(8, 8, 1), counts, "", "")
    metrics = {"val_auc": 0.5, **metrics}
    result = RunResult("r", Path("runs/r"), Objective("val_auc", "max"), 1, 2, metrics, data, Path("b"), None, 3.0)
    print_summary(result, where="there", log=Path("run.log"), **more)
    return capsys.readouterr().out


def test_a_binary_summary_says_what_is_positive_from_where_on(capsys: pytest.CaptureFixture[str]) -> None:
    text = summary("binary", {"threshold": 0.25, "test_sensitivity": 0.75}, capsys)
    assert "d: 10 images" in text
    assert "sensitivity" in text
    assert "Positive is yes, from a probability of 0.250 on" in text


def test_a_summary_of_findings_shows_each_and_counts_images_not_labels(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"test_auc": 0.75, "test_subset_accuracy": 0.5, "test_auc/mild": 0.875}
    text = summary("multilabel", metrics, capsys, images=7)
    assert "d: 7 images" in text
    assert "subset accuracy" in text
    assert any(line.split() == ["AUC", "mild", "0.8750"] for line in text.splitlines())
    assert "Each class has its own threshold" in text
    assert "images" not in summary("multilabel", metrics, capsys)


def test_a_summary_of_grades_says_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    text = summary("ordinal", {"test_quadratic_kappa": 0.5, "test_mean_absolute_error": 0.25}, capsys)
    assert "quadratic kappa" in text
    assert "mean absolute error" in text
    assert "Grades in order: none, mild, severe." in text
