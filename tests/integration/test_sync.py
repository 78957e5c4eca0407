"""Nothing that a run recorded is lost or doubled, whatever happens to the run or to its real store."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres import Postgres
from support import ROOT, Script, free_port, wait_until

from medexp.config.schema_scripts import SyncConfig
from medexp.errors import TrackingError
from medexp.experiment.sync import sync
from medexp.tracking.lock import LiveError
from medexp.tracking.mlflow_tracker import MlflowTracker

RUN = """
import sys, time
from pathlib import Path
from medexp.tracking.journal import Journal
from medexp.tracking.mlflow_tracker import MlflowTracker
uri, below, resume = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
tracker = MlflowTracker(uri=uri, experiment="x", artifacts=str(below.parent / "files"), system_metrics_seconds=0.05)
known = Journal(Path(resume[0])).steps("loss") if resume else ()
with tracker.resume(Path(resume[0])) if resume else tracker.start("run", below=below) as run:
    print(run.id, flush=True)
    run.log_params({"seed": 1})
    first = max(known, default=0) + 1
    for step in range(max(first - 3, 1), first + 100_000):  # from the last checkpoint on
        run.log_metrics({"loss": 1 / step, "auc": step / 1e6}, step=step)
        print(step, flush=True)
        time.sleep(0.002)
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty store: making one takes seconds."""
    from medexp.tracking.store import open_client

    folder = tmp_path_factory.mktemp("fresh")
    open_client(f"sqlite:///{folder}/mlflow.db")
    return folder


@pytest.fixture
def uri(fresh: Path, outputs: Path) -> str:
    """The default store of the output folder, empty."""
    shutil.copytree(fresh, outputs)
    return f"sqlite:///{outputs}/mlflow.db"


def tracker(uri: str, outputs: Path) -> MlflowTracker:
    return MlflowTracker(uri=uri, experiment="x", artifacts=str(outputs / "files"))


def synced(outputs: Path, uri: str, run: str | None = None) -> bool:
    paths = {"root": ROOT, "outputs": outputs, "datasets": outputs}
    return sync(SyncConfig.model_validate({"run": run, "tracking": {"uri": uri}, "paths": paths}))


def client_of(uri: str) -> Any:
    from medexp.tracking.store import open_client

    return open_client(uri, create=False)


def steps(uri: str, run_id: str, name: str = "loss") -> list[int]:
    return [point.step for point in client_of(uri).get_metric_history(run_id, name)]


def killed(uri: str, outputs: Path, delay: float, *resume: str) -> tuple[str, int]:
    """Let a process record and SIGKILL it; return the id of its run and the last step that it had recorded."""
    command = [sys.executable, "-c", RUN, uri, str(outputs / "runs"), *resume]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id, first = process.stdout.readline().strip(), process.stdout.readline()
    time.sleep(delay)
    process.kill()
    said = (first + process.stdout.read()).rpartition("\n")[0].split()
    process.wait()
    return run_id, int(said[-1])


def check_killed_and_resumed(uri: str, outputs: Path, times: int) -> None:
    chance = random.Random(times)
    run_id, last = killed(uri, outputs, chance.random() * 0.5)
    for round_ in range(times):
        if round_ % 2:  # else what is unsent is left to the resumed run
            assert synced(outputs, uri)
            assert client_of(uri).get_run(run_id).info.status == "KILLED"
        again, last = killed(uri, outputs, chance.random() * 0.5, str(outputs / "runs" / run_id))
        assert again == run_id
    assert synced(outputs, uri)
    assert synced(outputs, uri)
    run = client_of(uri).get_run(run_id)
    assert (run.info.status, run.data.params) == ("KILLED", {"seed": "1"})
    found = steps(uri, run_id)
    assert found == list(range(1, len(found) + 1))
    assert len(found) in (last, last + 1)
    for name in run.data.metrics:
        points = client_of(uri).get_metric_history(run_id, name)
        assert max(Counter(point.step for point in points).values()) == 1, name


def test_a_run_that_is_killed_and_resumed_has_every_step_once(uri: str, outputs: Path) -> None:
    check_killed_and_resumed(uri, outputs, 2)


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_twenty_times_has_every_step_once(uri: str, outputs: Path) -> None:
    check_killed_and_resumed(uri, outputs, 20)


@pytest.mark.slow
def test_a_run_in_postgresql_that_is_killed_and_resumed_has_every_step_once(postgres: str, outputs: Path) -> None:
    tracker(postgres, outputs).start("first use", below=outputs / "runs").__enter__()
    shutil.rmtree(outputs / "runs")
    check_killed_and_resumed(postgres, outputs, 4)


def test_a_store_that_is_moved_away_and_back_has_everything(
    uri: str, outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = outputs / "mlflow.db"
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        assert run.drain()
        database.rename(outputs / "away.db")
        (run.outbox / "model").mkdir(parents=True)
        (run.outbox / "model" / "weights").write_text("w")
        (run.folder / "table.csv").write_text("t")
        run.log_metrics({"loss": 0.5, "test_auc": 0.75}, step=0)
        run.log_files(run.folder / "table.csv")
        assert run.log_model(run.outbox / "model", params={"a": 1}, metrics={"test_auc": 0.75}) is None
        assert not database.exists(), "no empty one is made in its place"
        (outputs / "away.db").rename(database)
    found = client_of(uri).get_run(run.id)
    assert (found.info.status, found.data.metrics["test_auc"]) == ("FINISHED", 0.75)
    assert [item.path for item in client_of(uri).list_artifacts(run.id)] == ["table.csv"]
    (model,) = client_of(uri).search_logged_models([found.info.experiment_id])
    assert (model.status.name, found.data.tags["medexp.model_id"]) == ("READY", model.model_id)
    assert steps(uri, run.id, "test_auc") == [0], "the model's metric is the run's, not another point of it"
    assert not run.outbox.exists()
    assert len([r for r in caplog.records if "does not answer" in r.getMessage()]) == 1


def test_what_a_run_could_not_send_is_sent_by_the_command(
    uri: str, outputs: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    database = outputs / "mlflow.db"
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        run.drain()
        database.rename(outputs / "away.db")
        run.log_metrics({"loss": 0.5}, step=1)
    gone = script("sync", f"paths.outputs={outputs}")
    assert gone.returncode == 1
    assert "there is no such file" in gone.stderr
    (outputs / "away.db").rename(database)
    done = script("sync", f"paths.outputs={outputs}")
    assert done.returncode == 0, done.stderr
    assert f"{run.id} 1 metrics, 1 status FINISHED nothing" in " ".join(done.stdout.split())
    assert (steps(uri, run.id), client_of(uri).get_run(run.id).info.status) == ([1], "FINISHED")
    assert synced(outputs, uri)
    assert "1 run had nothing to send" in capsys.readouterr().out


def test_a_run_goes_only_to_the_store_that_it_was_recorded_in(
    uri: str, outputs: Path, tmp_path: Path, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(fresh, tmp_path / "other")
    other = f"sqlite:///{tmp_path}/other/mlflow.db"
    run_id, _ = killed(uri, outputs, 0.01)
    assert not synced(outputs, other)
    assert f"tracking.uri={uri}" in capsys.readouterr().out.replace("\n", "").replace(" ", "")
    assert client_of(uri).get_run(run_id).info.status == "RUNNING"
    with pytest.raises(TrackingError, match=f"recorded elsewhere. Override: tracking.uri={uri}"):
        tracker(other, outputs).resume(outputs / "runs" / run_id).__enter__()


def test_a_live_run_is_left_alone(uri: str, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        assert synced(outputs, uri)
        assert "live" in capsys.readouterr().out
        with pytest.raises(LiveError, match=f"process {os.getpid()} on"):
            synced(outputs, uri, run.id)
        assert client_of(uri).get_run(run.id).info.status == "RUNNING"


def test_what_the_store_refuses_costs_nothing_else_and_is_reported(
    uri: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        client_of(uri).log_param(run.id, "seed", "2")
        run.log_params({"seed": 1, "other": 1})
        run.log_metrics({"loss": 1.0, "no|pipes": 1.0}, step=1)
        run.log_files(run.folder / "never written")
        run.log_metrics({"loss": 0.5}, step=2)
    found = client_of(uri).get_run(run.id)
    assert (found.info.status, found.data.params) == ("FINISHED", {"seed": "2", "other": "1"})
    assert steps(uri, run.id) == [1, 2]
    assert not synced(outputs, uri)
    said = " ".join(capsys.readouterr().out.split())
    assert "seed: MlflowException" in said
    assert "no|pipes: MlflowException" in said
    assert "it is no longer there" in said


def test_a_deleted_run_keeps_what_it_records_until_it_is_restored(
    uri: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        run.drain()
        client_of(uri).delete_run(run.id)
        run.log_metrics({"loss": 1.0}, step=1)
    assert not synced(outputs, uri)
    assert "mlflow runs restore --run-id" in " ".join(capsys.readouterr().out.split())
    client_of(uri).restore_run(run.id)
    assert synced(outputs, uri)
    assert (steps(uri, run.id), client_of(uri).get_run(run.id).info.status) == ([1], "FINISHED")


def test_sending_everything_twice_changes_nothing(uri: str, outputs: Path) -> None:
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        (own := outputs / "model").mkdir()
        (own / "weights").write_text("w")
        run.log_params({"a": 1})
        run.log_metrics({"loss": 0.1, "auc": 1 / 3}, step=1)
        run.log_model(own, params={"a": 1}, metrics={"auc": 0.5})
    before = client_of(uri).get_run(run.id)
    (run.folder / "tracking.sent").unlink()
    assert synced(outputs, uri)
    after = client_of(uri).get_run(run.id)
    assert after.to_dictionary() == before.to_dictionary()
    assert len(client_of(uri).search_logged_models([after.info.experiment_id])) == 1
    assert steps(uri, run.id) == [1]


def test_a_finished_run_is_not_resumed(uri: str, outputs: Path) -> None:
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        pass
    with pytest.raises(TrackingError, match="The run is finished"):
        tracker(uri, outputs).resume(run.folder).__enter__()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.remove()


def test_postgresql_that_stops_during_a_run_has_everything_when_it_is_back(
    own_postgres: Postgres, outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"{own_postgres.url}/postgres"
    with tracker(uri, outputs).start("run", below=outputs / "runs") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        assert run.drain()
        own_postgres.stop()
        for step in range(2, 6):
            begin = time.monotonic()
            run.log_metrics({"loss": 1.0 / step}, step=step)
            assert time.monotonic() - begin < 1
        assert not run.drain()
        own_postgres.start()
        run.log_metrics({"loss": 1.0}, step=6)
    assert (steps(uri, run.id), client_of(uri).get_run(run.id).info.status) == (list(range(1, 7)), "FINISHED")
    assert len([r for r in caplog.records if "does not answer" in r.getMessage()]) == 1
    assert not [r for r in caplog.records if "Traceback" in (r.exc_text or "")]


@pytest.mark.slow
def test_an_mlflow_server_that_is_killed_and_started_again_has_everything(
    uri: str, outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()

    def start() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1",
             "--port", str(port), "--workers", "1", "--artifacts-destination", str(outputs / "files")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_until(lambda: _healthy(port), seconds=90, what="mlflow server")
        return server

    def kill(server: subprocess.Popen[bytes]) -> None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()

    address = f"http://127.0.0.1:{port}"
    server = start()
    try:
        with tracker(address, outputs).start("run", below=outputs / "runs") as run:
            run.log_metrics({"loss": 1.0}, step=1)
            assert run.drain()
            kill(server)
            run.log_metrics({"loss": 0.5}, step=2)
            (run.outbox / "model").mkdir(parents=True)
            (run.outbox / "model" / "weights").write_text("w")
            assert run.log_model(run.outbox / "model", params={}, metrics={}) is None
            server = start()
        assert steps(uri, run.id) == [1, 2]
        found = client_of(uri).get_run(run.id)
        assert (found.info.status, found.data.tags["medexp.model_id"][:2]) == ("FINISHED", "m-")
        assert not [r for r in caplog.records if "sync.py" in r.getMessage() and r.levelno > logging.WARNING]
    finally:
        kill(server)


def _healthy(port: int) -> bool:
    import requests

    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok
    except requests.RequestException:
        return False
