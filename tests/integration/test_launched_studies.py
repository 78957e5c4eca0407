"""Whole studies whose trials run elsewhere: by submitit, by Ray, and by two sweepers that share PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from support import ROOT, TINY

pytestmark = pytest.mark.slow
SEARCH = ("-m", "search=optuna", "search.study=shared")
RAY_PYTHON = ROOT / ".venv-ray" / "bin" / "python"


@contextmanager
def sweep(folder: Path, *overrides: str, python: Path = Path(sys.executable)) -> Iterator[subprocess.Popen[str]]:
    """`scripts/train.py -m`, whose output folder is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "printed").open("w") as printed:
        process = subprocess.Popen(
            [python, ROOT / "scripts" / "train.py", *SEARCH, *TINY, f"paths.outputs={folder}/outputs", *overrides],
            cwd=folder, stdout=printed, stderr=subprocess.STDOUT, text=True, env=dict(os.environ),
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()


def trials(storage: Any) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="shared", storage=storage).trials


def test_two_sweepers_share_a_study_and_a_tracking_store_in_postgresql(tmp_path: Path, postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE tracking")
    tracking = postgres.rpartition("/")[0] + "/tracking"
    shared = (
        "search.n_trials=4", f"search.storage={postgres}", f"tracking.uri={tracking}",
        f"tracking.artifacts={tmp_path}/artifacts",
    )  # fmt: skip
    with (
        sweep(tmp_path / "one", *shared) as one,
        sweep(tmp_path / "other", *shared, "hydra/launcher=submitit_local") as other,
    ):
        assert (one.wait(300), other.wait(300)) == (0, 0), (tmp_path / "other" / "printed").read_text()
    told = trials(postgres.replace("postgresql:", "postgresql+psycopg:"))
    assert [trial.state.name for trial in told] == ["COMPLETE"] * 4
    assert len({str(trial.params) for trial in told}) == 4
    runs = MlflowClient(tracking).search_runs(["1"])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.data.tags["medexp.trial.number"] for run in children) == ["0", "1", "2", "3"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    shown = [file for file in tmp_path.rglob("*") if file.is_file() and b"s3cret" in file.read_bytes()]
    hidden = [f for f in shown if any(p.stat().st_mode & 0o077 == 0 for p in f.parents if p.is_relative_to(tmp_path))]
    assert shown == hidden, "the password is in files that others can read"


def test_a_study_runs_on_ray(tmp_path: Path) -> None:
    if not RAY_PYTHON.exists():
        pytest.skip("Ray is not installed: make ray")
    options = ("hydra/launcher=ray", "search.n_trials=2", "search.n_jobs=2")
    with sweep(tmp_path, *options, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", python=RAY_PYTHON) as process:
        assert process.wait(300) == 0, (tmp_path / "printed").read_text()
    (journal,) = (tmp_path / "outputs" / "sweeps" / "shared").glob("study.journal")
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    assert [trial.state.name for trial in trials(optuna.storages.JournalStorage(backend))] == ["COMPLETE"] * 2
