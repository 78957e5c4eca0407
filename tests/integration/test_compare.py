"""The trials of a sweep beside each other, as their users see them: real studies, a real store, real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Script, free_port, wait_until
from toy_study import open_toy, toy_plan

from medexp.sweep.compare import compare
from medexp.sweep.parent import open_parent
from medexp.sweep.plan import Plan
from medexp.sweep.summary import summarise
from medexp.tracking.base import Tracker
from medexp.tracking.mlflow_tracker import MlflowTracker
from medexp.tracking.null_tracker import NullTracker
from medexp.types import Objective


def search(tracker: Tracker, outputs: Path, name: str, *, values: list[float], unfinished: int = 0) -> Plan:
    """A study of trials that end at once, each with a run, below one parent."""
    folder = outputs / "sweeps" / name
    plan = toy_plan(str(folder / "study.journal"), folder, name=name, n_trials=len(values) + unfinished)
    study = open_toy(plan)
    with parent_of(tracker, study, plan, outputs) as parent:
        for value in values:
            order = study.ask()
            assert order is not None
            tags = {
                "medexp.study": name, "medexp.trial.number": str(order.number), "medexp.trial.state": "COMPLETE",
                "medexp.overrides": " ".join(order.overrides),
            }  # fmt: skip
            with tracker.start("trial", below=outputs / "runs", parent=parent.id, tags=tags) as run:
                run.log_metrics({"best_val_auc": value, "val_loss": 1 - value, "test_auc": value / 2}, step=0)
                tell(plan, order.number, value, run.id)
        for _ in range(unfinished):
            study.ask()
        summarise(parent, study.records(), hurried=True)
    return plan


def parent_of(tracker: Tracker, study: Any, plan: Plan, outputs: Path) -> Any:
    return open_parent(
        tracker, study, plan, name=f"sweep {plan.name}", below=outputs / "sweeps", fixed=["data=phantom"], params={},
        tags={}, console_level="ERROR",
    )  # fmt: skip


def tell(plan: Plan, number: int, value: float, run_id: str) -> None:
    from medexp.sweep.attached import attach

    with attach(plan.storage, plan.name, number) as trial:
        trial.began(run_id, plan.folder)
        trial.complete([value])


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps in the default store of an output folder."""
    outputs = tmp_path_factory.mktemp("compare") / "outputs"
    tracker = MlflowTracker(uri=f"sqlite:///{outputs}/mlflow.db", experiment="medexp", artifacts=str(outputs / "files"))
    search(tracker, outputs, "first-search", values=[0.6, 0.5])
    search(tracker, outputs, "second-search", values=[0.7, 0.9, 0.8], unfinished=1)
    return outputs


@pytest.fixture
def told(outputs: Path) -> Any:
    """Compare as the script does, in this process."""

    def told(sweep: str | None, **changes: Any) -> Any:
        options: dict[str, Any] = {"storage": None, "objective": None, "top": 20, **changes}
        uri = options.pop("uri", f"sqlite:///{outputs}/mlflow.db")
        return compare(uri=uri, experiment="medexp", outputs=outputs, sweep=sweep, **options)

    return told


def test_the_script_shows_a_running_sweep_best_first_with_the_metrics_of_its_runs(
    script: Script, outputs: Path, tmp_path: Path
) -> None:
    done = script("compare", "second", f"paths.outputs={outputs}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "second-search (FINISHED): 4 trials: 3 complete, 1 running; by val_auc (max)" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if "rate=" in line and "python" not in line]
    assert [row[0] for row in rows] == ["1", "2", "3", "running"]
    assert [row[1] for row in rows] == ["1", "2", "0", "3"]
    assert "0.9000" in done.stdout
    assert "0.4500" in done.stdout
    assert "retrain  python scripts/train.py data=phantom rate=" in done.stdout
    assert re.search(rf"promote  python scripts/promote\.py sweep=\w{{32}} paths\.outputs={outputs}\n", done.stdout)


def test_an_unknown_sweep_is_a_sentence_with_the_latest_ones(script: Script, outputs: Path, tmp_path: Path) -> None:
    done = script("compare", "12e4", f"paths.outputs={outputs}", cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no such sweep. Received: sweep=12e4" in done.stderr
    assert done.stderr.index("second-search") < done.stderr.index("first-search")
    assert "Traceback" not in done.stderr


def test_help_is_a_page_and_a_wrong_key_is_an_error(script: Script) -> None:
    done = script("compare", "--help")
    assert done.returncode == 0
    assert "python scripts/compare.py <parent run id or study>" in done.stdout
    wrong = script("compare", "mode=max", "tpo=3")
    assert wrong.returncode == 1
    assert "tpo: no such key" in wrong.stderr
    assert "mode has no effect without a metric" in script("compare", "mode=max").stderr
    assert "the test set must not select" in script("compare", "metric=test_auc", "mode=max").stderr


def test_a_sweep_is_named_by_study_by_id_or_not_at_all(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(told("first").rows) == 2
    assert len(told(None).rows) == 4
    printed = capsys.readouterr().out
    run_id = printed.rpartition("parent   ")[2].split()[0]
    assert len(told(run_id).rows) == 4
    assert len(told(run_id[:12]).rows) == 4


def test_without_the_study_its_runs_are_compared(told: Any, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = outputs / "sweeps" / "second-search" / "study.journal"
    journal.rename(journal.with_name("gone"))
    try:
        board = told("second", top=2)
    finally:
        journal.with_name("gone").rename(journal)
    assert [row.values for row in board.rows] == [(0.9,), (0.8,), (0.7,)]
    assert [row.index for row in board.rows] == [1, 2, 0]
    printed = capsys.readouterr().out
    assert "own storage was not read" in printed
    assert "1 more are not shown" in printed


def test_another_metric_sorts_the_runs(told: Any) -> None:
    board = told("second", objective=Objective("val_loss", "max"))
    assert [row.values[0] for row in board.rows] == pytest.approx([0.3, 0.2, 0.1])


def test_without_a_store_the_study_is_enough(told: Any, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(NullTracker(), outputs, "unrecorded", values=[0.1, 0.2])
    try:
        board = told("unrec", uri=f"sqlite:///{outputs}/none.db")
        assert [row.values for row in board.rows] == [(0.2,), (0.1,)]
        assert "retrain  python scripts/train.py data=phantom rate=" in capsys.readouterr().out
        assert not (outputs / "none.db").exists()
    finally:
        (outputs / "sweeps" / "unrecorded" / "study.journal").unlink()


def test_the_dashboard_shows_the_latest_study_and_says_where_there_is_none(outputs: Path, tmp_path: Path) -> None:
    port, binaries = free_port(), Path(sys.executable).parent
    command = ["make", "-s", "dashboard", "STAMP=", f"BIN={binaries}", f"PORT={port}"]
    none = subprocess.run([*command, f"OUTPUTS={tmp_path}"], cwd=ROOT, capture_output=True, text=True)
    assert none.returncode != 0
    assert "There is no study" in none.stdout
    wrong = subprocess.run([*command, f"OUTPUTS={outputs}", "STUDY=x"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode != 0
    assert "second-search" in wrong.stdout
    server = subprocess.Popen([*command, f"OUTPUTS={outputs}"], cwd=ROOT, start_new_session=True)
    try:
        wait_until(lambda: studies(port) == ["second-search"], seconds=60, what="the dashboard")
    finally:
        import os

        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def studies(port: int) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
            return [study["study_name"] for study in json.load(answer)["study_summaries"]]
    except OSError:
        time.sleep(0.3)
        return []
