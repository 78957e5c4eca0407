"""A study has one parent run, whoever makes it, whoever is killed, whoever comes back."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, wait_until
from toy_study import TIMING, open_toy, toy_plan

from medexp.errors import TrackingError
from medexp.sweep.claim import WRITER, Claim
from medexp.sweep.parent import PARENT, Parent, open_parent, refresh
from medexp.sweep.plan import Plan
from medexp.sweep.records import Record
from medexp.sweep.study import SharedStudy
from medexp.sweep.summary import summarise, summarised
from medexp.tracking.base import Tracker
from medexp.tracking.mlflow_tracker import MlflowTracker
from medexp.tracking.null_tracker import NullTracker
from medexp.tracking.store import open_client


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    open_client(uri)
    shutil.copy(uri.removeprefix("sqlite:///"), uri.removeprefix("sqlite:///") + ".empty")  # making one takes seconds
    return uri


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return toy_plan(str(tmp_path / "study.journal"), tmp_path / "study")


def mlflow(uri: str, tmp_path: Path) -> MlflowTracker:
    return MlflowTracker(uri=uri, experiment=tmp_path.name, artifacts=str(tmp_path / "artifacts"))


def opened(
    tracker: Tracker, study: SharedStudy, plan: Plan, below: Path, **more: Any
) -> AbstractContextManager[Parent]:
    return open_parent(
        tracker, study, plan, name="sweep", below=below, fixed=["data=phantom", "search=optuna"],
        params={"search.seed": 0}, tags={"medexp.overrides": "x"}, console_level="ERROR", timing=TIMING, **more,
    )  # fmt: skip


def records(*values: float | None) -> list[Record]:
    """Complete trials, and failed ones where the value is None."""
    return [
        Record(
            number=index, index=index, state="failed" if value is None else "complete",
            values=() if value is None else (value,), params={"rate": str(index)}, overrides=(f"rate={index}",),
        )
        for index, value in enumerate(values)
    ]  # fmt: skip


def series(uri: str, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in open_client(uri).get_metric_history(run_id, name)]


def parents(uri: str, tmp_path: Path) -> list[Any]:
    client = open_client(uri)
    return list(client.search_runs([client.get_experiment_by_name(tmp_path.name).experiment_id]))


def test_the_parent_says_what_the_study_is_and_goes_on_when_it_is_resumed(uri: str, tmp_path: Path, plan: Plan) -> None:
    tracker, study = mlflow(uri, tmp_path), open_toy(plan)
    with opened(tracker, study, plan, tmp_path / "sweeps") as parent:
        refresh(parent, records(0.5, None))
        refresh(parent, records(0.5, None, 0.7))
    with opened(tracker, open_toy(plan), plan, tmp_path / "sweeps") as again:
        refresh(again, records(0.5, None, 0.7))
        refresh(again, records(0.5, None, 0.7, 0.6))
    (run,) = parents(uri, tmp_path)
    assert (again.id, run.info.status) == (parent.id, "FINISHED")
    tags = run.data.tags
    assert (tags["medexp.kind"], tags["medexp.study"], tags["medexp.objective"]) == ("sweep", "toy", "val_auc")
    assert (tags["medexp.best_trial"], tags["medexp.best_overrides"]) == ("2", "rate=2")
    assert tags["medexp.best_command"] == "python scripts/train.py data=phantom rate=2"
    assert run.data.params == {"search.seed": "0"}
    assert run.data.metrics | {"trials_complete": 3, "trials_failed": 1, "best_val_auc": 0.7} == run.data.metrics
    assert series(uri, run.info.run_id, "best_so_far") == [(0, 0.5), (1, 0.5), (2, 0.7), (3, 0.7)]


def test_sweepers_that_begin_at_once_make_one_parent_and_one_of_them_writes(tmp_path: Path, plan: Plan) -> None:
    found: list[tuple[str, bool]] = []
    together, apart = threading.Barrier(4), threading.Barrier(4)
    studies = [open_toy(plan) for _ in range(4)]

    def sweeper(study: SharedStudy) -> None:
        together.wait()
        with opened(NullTracker(), study, plan, tmp_path / "sweeps") as parent:
            found.append((parent.id, parent.writing is not None))
            apart.wait()

    threads = [threading.Thread(target=sweeper, args=(study,)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run_id for run_id, _ in found}) == 1
    assert sorted(writes for _, writes in found) == [False, False, False, True]
    assert len([path for path in (tmp_path / "sweeps").iterdir() if path.is_dir()]) == 1


def test_another_machine_works_without_the_parent_and_takes_over_when_its_writer_leaves(
    uri: str, tmp_path: Path, plan: Plan
) -> None:
    tracker = mlflow(uri, tmp_path)
    with opened(tracker, open_toy(plan), plan, tmp_path / "here") as here:
        other = opened(tracker, open_toy(plan), replace(plan, folder=tmp_path / "there"), tmp_path / "there")
        there = other.__enter__()
        refresh(here, records(0.5))
        refresh(there, records(0.5))
        assert (here.id, there.writing) == (there.id, None)
        assert not summarise(there, records(0.5)).files
    assert parents(uri, tmp_path)[0].info.status == "FINISHED"
    summary = summarise(there, records(0.5, 0.9))
    assert {file.name for file in summary.files} >= {"trials.csv", "study.html", "history.png"}
    assert parents(uri, tmp_path)[0].info.status == "RUNNING"
    other.__exit__(None, None, None)
    (run,) = parents(uri, tmp_path)
    assert (run.info.status, run.data.tags["medexp.best_trial"]) == ("FINISHED", "1")
    assert series(uri, run.info.run_id, "best_so_far") == [(0, 0.5), (1, 0.9)]
    files = {item.path for item in open_client(uri).list_artifacts(run.info.run_id)}
    assert files >= {"trials.csv", "study.html", "importances.csv", "plots"}


def test_a_claim_is_taken_from_the_dead_and_not_from_the_living(plan: Plan) -> None:
    study = open_toy(plan)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with Claim(study, timing=TIMING) as first:
        assert first.take()
        lease = {**study.user_attr(WRITER), "pid": process.pid, "owner": "another"}
        from medexp.sweep.lease import started

        study.set_user_attr(WRITER, {**lease, "started": started(process.pid)})
        with Claim(open_toy(plan), timing=TIMING) as second:
            assert not second.take()
            process.kill()
            process.wait()
            assert second.take()
            wait_until(lambda: not first.held, seconds=5, what="the first to notice that it was replaced")
    assert study.user_attr(WRITER)["state"] == "released"


def test_a_run_that_was_made_but_not_stored_is_found_again(uri: str, tmp_path: Path, plan: Plan) -> None:
    tracker, study = mlflow(uri, tmp_path), open_toy(plan)
    with opened(tracker, study, plan, tmp_path / "sweeps") as parent:
        pass
    study.set_user_attr(PARENT, None)  # as if the sweeper had been killed in between
    with opened(tracker, open_toy(plan), plan, tmp_path / "sweeps") as again:
        pass
    assert again.id == parent.id
    assert study.user_attr(PARENT) == parent.id
    assert len(parents(uri, tmp_path)) == 1


def test_a_study_that_was_recorded_elsewhere_says_what_to_do(uri: str, tmp_path: Path, plan: Plan) -> None:
    empty = uri.removeprefix("sqlite:///") + ".empty"
    with opened(mlflow(uri, tmp_path), open_toy(plan), plan, tmp_path / "sweeps"):
        pass
    with pytest.raises(TrackingError, match="logger=mlflow"), opened(
        NullTracker(), open_toy(plan), plan, tmp_path / "sweeps"
    ):  # fmt: skip
        pass
    elsewhere = MlflowTracker(uri=f"sqlite:///{tmp_path}/other.db", experiment="x", artifacts=str(tmp_path))
    shutil.copy(empty, tmp_path / "other.db")
    with pytest.raises(TrackingError, match=r"has no run[\s\S]*search\.fresh=true"), opened(
        elsewhere, open_toy(plan), plan, tmp_path / "sweeps"
    ):  # fmt: skip
        pass


def test_a_signal_leaves_the_table_and_a_killed_run_and_an_error_a_failed_one(
    uri: str, tmp_path: Path, plan: Plan
) -> None:
    class Study:
        def records(self) -> list[Record]:
            return records(0.5, 0.9)

    for error, status in ((KeyboardInterrupt(), "KILLED"), (ValueError(), "FAILED")):
        with (
            pytest.raises(type(error)),
            opened(mlflow(uri, tmp_path), open_toy(plan), plan, tmp_path / "s") as parent,
            summarised(parent, Study()) as kept,
        ):
            raise error
        assert kept[0].command == "python scripts/train.py data=phantom rate=1"
        assert (plan.folder / "trials.csv").is_file()
        assert (plan.folder / "study.html").is_file() == (status == "FAILED")
        assert parents(uri, tmp_path)[0].info.status == status


def test_a_summary_that_cannot_be_written_is_a_sentence_and_its_traceback_is_in_the_log_alone(
    tmp_path: Path, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    class Study:
        def records(self) -> list[Record]:
            return records(0.5)

    (plan.folder / "trials.csv").mkdir(parents=True)
    caplog.set_level(logging.INFO)
    with (
        opened(NullTracker(), open_toy(plan), plan, tmp_path / "s") as parent,
        summarised(parent, Study()) as kept,
    ):
        pass
    assert kept == []
    assert "the summary of the study could not be written" in caplog.text
    assert [record.file_only for record in caplog.records if record.exc_info] == [True]


@pytest.fixture
def sweeper(uri: str, tmp_path: Path) -> Iterator[Any]:
    """Start a process that opens the parent of the study, and says so."""
    processes: list[subprocess.Popen[str]] = []
    code = (
        "import sys, time; sys.path[:0] = ['tests', 'tests/unit/sweep']; from pathlib import Path\n"
        "import test_parent as t; folder = Path(sys.argv[2])\n"
        "plan = t.toy_plan(str(folder / 'study.journal'), folder / 'study')\n"
        "with t.opened(t.mlflow(sys.argv[1], folder), t.open_toy(plan), plan, folder / 'sweeps') as parent:\n"
        "    t.refresh(parent, t.records(0.5, 0.6)); parent.writing.drain()\n"
        "    print(parent.id, flush=True); time.sleep(60)\n"
    )

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, uri, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_whoever_comes_after_a_killed_sweeper_writes_its_parent(
    uri: str, tmp_path: Path, plan: Plan, sweeper: Any
) -> None:
    process = sweeper()
    run_id = process.stdout.readline().strip()
    with opened(mlflow(uri, tmp_path), open_toy(plan), plan, tmp_path / "sweeps") as beside:
        assert (beside.id, beside.writing) == (run_id, None)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert parents(uri, tmp_path)[0].info.status == "RUNNING"
    began = time.monotonic()
    with opened(mlflow(uri, tmp_path), open_toy(plan), plan, tmp_path / "sweeps") as after:
        refresh(after, records(0.5, 0.6, 0.7))
        assert after.writing is not None
    assert time.monotonic() - began < 20
    (run,) = parents(uri, tmp_path)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert series(uri, run_id, "best_so_far") == [(0, 0.5), (1, 0.6), (2, 0.7)]
