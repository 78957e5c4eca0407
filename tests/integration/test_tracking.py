"""The store: SQLite and PostgreSQL, one user and many at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import TINY, Script

FIRST_USER = """
import sys
from pathlib import Path
from medexp.tracking.mlflow_tracker import MlflowTracker
tracker = MlflowTracker(uri=sys.argv[1], experiment="shared", artifacts=sys.argv[2])
with tracker.start("one of many", below=Path(sys.argv[2])) as run:
    for step in range(1, 21):
        run.log_metrics({"loss": 1.0 / step}, step=step)
"""


def at_once(uri: str, folder: Path, count: int) -> None:
    """Let `count` processes be the first users of a store at the same time."""
    command = [sys.executable, "-c", FIRST_USER, uri, str(folder)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(count)]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr


def assert_nothing_is_lost(uri: str, count: int) -> None:
    from medexp.tracking.store import open_client

    client = open_client(uri, create=False)
    experiment = client.get_experiment_by_name("shared")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * count
    assert all(len(client.get_metric_history(run.info.run_id, "loss")) == 20 for run in runs)


def test_four_first_users_of_a_fresh_sqlite_lose_nothing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/deep/er/mlflow.db"
    at_once(uri, tmp_path / "artifacts", 4)
    assert_nothing_is_lost(uri, 4)


@pytest.mark.slow
def test_three_first_users_of_a_fresh_postgresql_lose_nothing(postgres: str, tmp_path: Path) -> None:
    at_once(postgres, tmp_path / "artifacts", 3)
    assert_nothing_is_lost(postgres, 3)


@pytest.mark.slow
def test_a_sweep_on_postgresql_has_a_parent_and_children(postgres: str, script: Script, outputs: Path) -> None:
    done = script(
        "train", "-m", "data.aug=none,light", *TINY, f"tracking.uri={postgres}", f"paths.outputs={outputs}"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    from medexp.tracking.store import open_client

    client = open_client(postgres, create=False)
    experiment = client.get_experiment_by_name("medexp")
    parent, *children = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3
    assert {child.data.params["data.aug"] for child in children} == {"none", "light"}
    assert list(outputs.glob("sweeps/*/trials.csv"))
    assert not (outputs / "mlflow.db").exists()


@pytest.mark.slow
def test_a_password_is_recorded_nowhere(postgres: str, script: Script, outputs: Path) -> None:
    done = script("train", "-m", "seed=0", *TINY, f"tracking.uri={postgres}", f"paths.outputs={outputs}")
    assert done.returncode == 0, done.stderr
    files = [path for path in outputs.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"s3cret" in path.read_bytes()] == []
    from medexp.tracking.store import open_client

    (folder,) = (outputs / "runs").iterdir()
    run = open_client(postgres, create=False).get_run(folder.name)
    assert "s3cret" not in str(run.data.params) + str(run.data.tags)
    assert run.data.params["tracking.uri"].startswith("postgresql://medexp:***@127.0.0.1")


def test_a_deleted_experiment_says_how_to_restore_it(tmp_path: Path) -> None:
    from medexp.errors import TrackingError
    from medexp.tracking.mlflow_tracker import MlflowTracker
    from medexp.tracking.store import open_client

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = MlflowTracker(uri=uri, experiment="gone", artifacts=str(tmp_path))
    with tracker.start("first", below=tmp_path):
        pass
    client = open_client(uri)
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    with pytest.raises(TrackingError, match="mlflow experiments restore"), tracker.start("second", below=tmp_path):
        pass
