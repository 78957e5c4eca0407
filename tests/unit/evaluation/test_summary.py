from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from medexp.evaluation.summary import print_summary, promote_command, resume_command, serve_command
from medexp.types import DataSpec, InputSpec, Objective, RunResult, Task


def summary(task: Task, metrics: dict[str, float], capsys: pytest.CaptureFixture[str], **more: Any) -> str:
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


def finished(folder: Path, capsys: pytest.CaptureFixture[str], elsewhere: str = "", model: str | None = "m") -> str:
    data = DataSpec("d", "binary", ("no", "yes"), InputSpec(8, 8, 1), {"test": {"no": 5, "yes": 5}}, "", "")
    metrics = {"val_auc": 0.5, "threshold": 0.5}
    bundle = folder / "bundle"
    result = RunResult("abc", folder, Objective("val_auc", "max"), 1, 2, metrics, data, bundle, model, 3.0)
    print_summary(result, where="make ui", log=folder / "run.log", elsewhere=elsewhere)
    return capsys.readouterr().out


def test_the_summary_says_where_everything_is_and_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "best.weights.h5").write_bytes(b"")
    lines = [line.split(maxsplit=1) for line in finished(tmp_path, capsys).splitlines()[-8:]]
    assert lines == [
        ["run", "id   abc"],
        ["folder", str(tmp_path)],
        ["log", str(tmp_path / "run.log")],
        ["bundle", str(tmp_path / "bundle")],
        ["weights", str(tmp_path / "best.weights.h5")],
        ["compare", "make ui"],
        ["promote", "python scripts/promote.py run=abc apply=true"],
        ["serve", "make serve"],
    ]


def test_paths_are_not_broken_into_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ("long" * 60)
    assert f"log      {folder / 'run.log'}\n" in finished(folder, capsys)


def test_a_run_without_a_model_is_not_promoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "promote" not in finished(tmp_path, capsys, model=None)


def test_commands_follow_outputs_and_store_to_another_place() -> None:
    moved = shlex.join(["paths.outputs=/data/my runs", "tracking.artifacts=/a"])
    assert promote_command("abc", elsewhere=moved) == (
        "python scripts/promote.py run=abc apply=true 'paths.outputs=/data/my runs'"
    )
    assert serve_command(elsewhere=moved) == (
        "MEDEXP_SERVE_TRACKING_URI='sqlite:////data/my runs/mlflow.db' python -m serve"
    )
    store = "tracking.uri=postgresql://host/db"
    assert serve_command(elsewhere=f"paths.outputs=/x {store}") == (
        "MEDEXP_SERVE_TRACKING_URI=postgresql://host/db python -m serve"
    )
    assert promote_command("abc", elsewhere=store).endswith(store)


def test_a_run_is_resumed_by_its_id_or_its_folder() -> None:
    assert resume_command("abc") == "python scripts/train.py resume=abc"
    assert resume_command(Path("/my runs/abc")) == "python scripts/train.py 'resume=/my runs/abc'"


def test_a_run_that_was_not_tested_shows_validation_and_has_no_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = DataSpec("d", "binary", ("no", "yes"), InputSpec(8, 8, 1), {"test": {"no": 5, "yes": 5}}, "", "")
    metrics = {"val_auc": 0.5, "val_accuracy": 0.625, "auc": 0.9}
    result = RunResult("abc", tmp_path, Objective("val_auc", "max"), 1, 2, metrics, data, None, None, 3.0)
    print_summary(result, where="make ui", log=tmp_path / "run.log")
    text = capsys.readouterr().out
    assert "Validation of the best epoch (1 of 2) on d\n" in text
    assert any(line.split() == ["accuracy", "0.6250"] for line in text.splitlines())
    assert "bundle" not in text
    assert "threshold" not in text


def test_folds_show_their_mean_and_deviation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = DataSpec("d", "binary", ("no", "yes"), InputSpec(8, 8, 1), {}, "", "")
    metrics = {"val_auc": 0.5, "test_auc": 0.75, "test_auc_std": 0.125}
    result = RunResult(
        "abc", tmp_path, Objective("val_auc", "max"), None, 6, metrics, data, None, None, 3.0, 10, ("a", "b", "c")
    )
    print_summary(result, where="make ui", log=tmp_path / "run.log")
    text = capsys.readouterr().out
    assert "Test of the best epoch of 3 folds on d\n" in text
    assert any(line.split() == ["AUC", "0.7500", "0.1250"] for line in text.splitlines())


def test_a_number_stands_beside_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"threshold": 0.5, "test_auc": 0.8, "test_auc_low": 0.7, "test_auc_high": 0.9, "test_f1": 0.5}
    lines = [line.split() for line in summary("binary", metrics, capsys).splitlines()]
    assert ["AUC", "0.8000", "0.7000", "to", "0.9000"] in lines
    assert ["F1", "0.5000"] in lines


def test_the_aim_of_the_operating_point_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(summary("binary", {"threshold": 0.5, "test_auc": 0.5}, capsys, aim="cost=10").split())
    assert "validation split (cost=10)." in text


def test_the_report_is_named_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "report.html" not in finished(tmp_path, capsys)
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "report.html").touch()
    assert f"report   {tmp_path}/evaluation/report.html" in finished(tmp_path, capsys)
