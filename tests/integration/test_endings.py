"""However a run ends, its status is right and the user reads a sentence."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, TINY, Script, wait_until

LONG = (*TINY, "trainer.max_epochs=5000", "callbacks=none")


def runs_of(outputs: Path) -> list[Any]:
    """All runs of the store in `outputs`, parents first."""
    from medexp.tracking.store import open_client

    client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
    experiment = client.get_experiment_by_name("medexp")
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def heed_signals() -> None:
    """A shell that runs the tests in the background lets them ignore Ctrl-C, and nohup a closed terminal."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start(outputs: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a training that does not end by itself, and wait until it is in its second epoch."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "train.py"), *arguments, *LONG, f"paths.outputs={outputs}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), preexec_fn=heed_signals,
    )  # fmt: skip
    wait_until(
        lambda: (
            process.poll() is not None
            or any("epoch    2/" in log.read_text() for log in outputs.glob("runs/*/run.log"))
        ),
        seconds=90,
        what="the second epoch",
    )
    assert process.poll() is None, process.communicate()[1]
    return process


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (signal.SIGTERM, "KILLED", 143),
        pytest.param(signal.SIGINT, "KILLED", 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "KILLED", 129, marks=pytest.mark.slow),
    ],
    ids=["SIGTERM", "Ctrl-C", "closed terminal"],
)
def test_a_stopped_training_is_killed_in_the_store(
    outputs: Path, number: signal.Signals, status: str, code: int
) -> None:
    process = start(outputs)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in stderr
    (run,) = runs_of(outputs)
    assert run.info.status == status
    assert "stopped by" in (outputs / "runs" / run.info.run_id / "run.log").read_text()
    assert f"run {run.info.run_id} was stopped" in stderr


@contextmanager
def away(database: Path) -> Iterator[None]:
    """A store that is gone."""
    elsewhere = database.rename(database.with_name("away.db"))
    yield
    assert not database.exists() or not database.stat().st_size, "nobody makes another in its place"
    elsewhere.rename(database)


@contextmanager
def hanging(database: Path) -> Iterator[None]:
    """A store that lets all wait who write or read."""
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


@pytest.mark.parametrize(
    "store",
    [nullcontext, pytest.param(away, marks=pytest.mark.slow), pytest.param(hanging, marks=pytest.mark.slow)],
)
def test_a_stopped_sweep_closes_the_parent_and_the_child_within_ten_seconds(
    store: Callable[[Path], AbstractContextManager[None]], outputs: Path, script: Script
) -> None:
    process = start(outputs, "-m", "seed=1,2")
    with store(outputs / "mlflow.db"):
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
        assert time.monotonic() - begin < 10
        assert process.returncode == 143
        assert "Traceback" not in stderr
    if store is not nullcontext:
        assert script("sync", f"paths.outputs={outputs}").returncode == 0
    parent, child = runs_of(outputs)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert [parent.info.status, child.info.status] == ["KILLED", "KILLED"]


@pytest.mark.slow
def test_a_failed_job_fails_the_sweep_and_stops_no_other(script: Script, outputs: Path) -> None:
    done = script("train", "-m", *TINY, "model.filters=[8],[8,8,8,8,8,8,8,8],[4]", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "1 of 3 trials failed" in done.stderr
    assert "simple_cnn takes images of 256 x 256 pixels or more" in done.stderr
    assert "Traceback" not in done.stderr
    parent, *children = runs_of(outputs)
    assert parent.info.status == "FAILED"
    assert [child.info.status for child in children] == ["FINISHED", "FAILED", "FINISHED"]
    log = (outputs / "runs" / children[1].info.run_id / "run.log").read_text()
    assert "ConfigError: simple_cnn takes images of 256 x 256 pixels or more" in log
    (table,) = outputs.glob("sweeps/*/trials.csv")
    states = [line.split(",")[2] for line in table.read_text().splitlines()[1:]]
    assert states == ["complete", "failed", "complete"]


def test_a_data_error_is_one_sentence_and_a_failed_run(script: Script, outputs: Path, tmp_path: Path) -> None:
    done = script("train", "data=folder", f"data.root={tmp_path / 'nowhere'}", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "DataError: There is no such folder. Received: data.root=" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = runs_of(outputs)
    assert run.info.status == "FAILED"


def test_outputs_that_cannot_be_written_are_named(script: Script) -> None:
    done = script("train", *TINY, "paths.outputs=/proc/nothing")
    assert done.returncode == 1
    assert "paths.outputs" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_unknown_metric_stops_after_the_first_epoch_and_lists_what_there_is(script: Script, outputs: Path) -> None:
    done = script("train", *TINY, "objective.metric=val_acuracy", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "Unknown metric. Received: 'val_acuracy'" in done.stderr
    assert "Did you mean 'val_accuracy'?" in done.stderr


def test_a_store_that_does_not_answer_is_said_at_once(script: Script, outputs: Path) -> None:
    uri = "postgresql://someone:pa55word@127.0.0.1:9/none"
    done = script("train", *TINY, f"tracking.uri={uri}", f"paths.outputs={outputs}", timeout=60)
    assert done.returncode == 1
    assert "TrackingError" in done.stderr
    assert "logger=none" in done.stderr
    assert "pa55word" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
