"""Multiruns as their users start them: real processes, real signals, a real store."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Script, wait_until

SMALL = ("data.patients=40", "data.size=32", "data.input.height=32", "model.filters=[8]", "audit.probe=false")
SPACE = ("optimizer.learning_rate=tag(log,interval(1e-4,1e-1))", "data.aug=choice(none,light)")
SEARCH = ("search=optuna", "search.space=null", *SPACE)
EARLY = "search.pruner_options={n_startup_trials:1,n_warmup_steps:1}"


def trials(outputs: Path) -> list[dict[str, str]]:
    """The trials of the only study, as the table has them."""
    (table,) = outputs.glob("sweeps/*/trials.csv")
    with table.open() as file:
        return list(csv.DictReader(file))


def chosen(outputs: Path) -> list[tuple[str, str]]:
    return [(row["optimizer.learning_rate"], row["data.aug"]) for row in trials(outputs)]


def runs(outputs: Path) -> list[Any]:
    """The runs of the store, in the order in which they began; the parent is the first."""
    from medexp.tracking.store import open_client

    client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
    experiment = client.get_experiment_by_name("medexp")
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def begin(outputs: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a sweep in a process group of its own."""
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), "-m", *SMALL, *arguments, f"paths.outputs={outputs}"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def journal(outputs: Path) -> str:
    return "".join(path.read_text() for path in outputs.glob("sweeps/*/study.journal"))


def jobs(outputs: Path) -> list[int]:
    """The processes of trials of this machine that live now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if str(path.readlink()).startswith(f"{outputs}/sweeps/"):
                found.append(int(path.parts[2]))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, script: Script) -> tuple[Path, Any]:
    """A search of six trials, two at once."""
    outputs = tmp_path_factory.mktemp("searched") / "outputs"
    done = script(
        "train", "-m", *SMALL, *SEARCH, EARLY, "trainer.max_epochs=3", "search.n_trials=6", "search.n_jobs=2",
        f"paths.outputs={outputs}", timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return outputs, done


def test_a_search_has_its_trials_below_one_parent(searched: tuple[Path, Any]) -> None:
    outputs, done = searched
    parent, *children = runs(outputs)
    states = Counter(row["state"] for row in trials(outputs))
    assert len(trials(outputs)) == 6
    assert states["complete"] + states["pruned"] == 6
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    tags = Counter(child.data.tags["medexp.trial.state"].lower() for child in children)
    assert tags == states
    best = max((row for row in trials(outputs) if row["state"] == "complete"), key=lambda row: float(row["val_auc"]))
    assert parent.data.tags["medexp.best_run"] == best["run_id"]
    assert "6/6 trials" in done.stderr
    assert "python scripts/train.py" in done.stdout


def test_a_light_trial_has_not_seen_the_test_set(searched: tuple[Path, Any]) -> None:
    outputs, _ = searched
    _, *children = runs(outputs)
    assert not [name for child in children for name in child.data.metrics if name.startswith("test_")]
    assert not list(outputs.glob("runs/*/bundle"))
    assert not list(outputs.glob("runs/*/predictions/test*"))


def test_the_command_for_the_best_is_complete(searched: tuple[Path, Any]) -> None:
    outputs, done = searched
    parent, *_ = runs(outputs)
    command = parent.data.tags["medexp.best_command"]
    assert command in done.stdout
    assert not [item for item in command.split() if item.startswith(("search", "sweep."))]
    assert "optimizer.learning_rate=" in command


@pytest.mark.slow
def test_the_same_command_repeats_nothing_and_more_trials_are_added(searched: tuple[Path, Any], script: Script) -> None:
    outputs, _ = searched
    before = runs(outputs)
    same = ("train", "-m", *SMALL, *SEARCH, EARLY, "trainer.max_epochs=3", f"paths.outputs={outputs}")
    again = script(*same, "search.n_trials=6")
    assert again.returncode == 0, again.stderr
    assert len(runs(outputs)) == len(before)
    more = script(*same, "search.n_trials=7", timeout=300)
    assert more.returncode == 0, more.stderr
    after = runs(outputs)
    assert len(after) == len(before) + 1
    assert len(trials(outputs)) == 7
    assert [run.info.run_id for run in after[: len(before)]] == [run.info.run_id for run in before]


def test_a_changed_space_is_refused_with_what_differs(searched: tuple[Path, Any], script: Script) -> None:
    outputs, _ = searched
    (folder,) = outputs.glob("sweeps/*/trials.csv")
    name = folder.parent.name
    other = [item.replace("none,light", "none,strong") for item in SEARCH]
    done = script(
        "train", "-m", *SMALL, *other, EARLY, "trainer.max_epochs=3", f"search.study='{name}'", "search.n_trials=8",
        f"paths.outputs={outputs}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "data.aug: none,light -> none,strong" in done.stderr
    assert "search.allow_changed=true" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweep_and_a_job_that_are_killed_go_on_where_they_were(outputs: Path, script: Script) -> None:
    arguments = (*SEARCH, "trainer.max_epochs=8", "search.n_trials=3", "search.pruner=none")
    process = begin(outputs, *arguments)
    wait_until(lambda: '"intermediate_value"' in journal(outputs), seconds=120, what="the first report of a trial")
    (job,) = jobs(outputs)
    os.kill(job, signal.SIGKILL)
    wait_until(lambda: jobs(outputs) not in ([], [job]), seconds=60, what="the trial to begin again")
    process.kill()
    process.communicate()
    done = script("train", "-m", *SMALL, *arguments, f"paths.outputs={outputs}", timeout=400)
    assert done.returncode == 0, done.stderr
    rows = trials(outputs)
    assert [row["state"] for row in rows] == ["complete"] * 3
    assert int(rows[0]["attempts"]) >= 2
    parent, *children = runs(outputs)
    assert len(children) == 3  # the killed trial went on in its own run
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}


@pytest.mark.slow
def test_whenever_a_sweep_is_killed_it_ends_with_the_same_trials(outputs: Path, script: Script, tmp_path: Path) -> None:
    arguments = (*SEARCH, EARLY, "trainer.max_epochs=4", "search.n_trials=6", "search.max_retry=50")
    whole = tmp_path / "whole"
    done = script("train", "-m", *SMALL, *arguments, f"paths.outputs={whole}", timeout=900)
    assert done.returncode == 0, done.stderr
    rng = random.Random(0)
    for _ in range(12):
        process = begin(outputs, *arguments)
        try:
            process.communicate(timeout=rng.uniform(2.0, 25.0))
            break
        except subprocess.TimeoutExpired:
            if rng.random() < 0.5:
                for job in jobs(outputs):
                    os.kill(job, signal.SIGKILL)
            process.kill()
            process.communicate()
    done = script("train", "-m", *SMALL, *arguments, f"paths.outputs={outputs}", timeout=900)
    assert done.returncode == 0, done.stderr
    assert chosen(outputs) == chosen(whole)
    ours, theirs = trials(outputs), trials(whole)
    assert [row["state"] for row in ours] == [row["state"] for row in theirs]
    assert [row["val_auc"] for row in ours] == [row["val_auc"] for row in theirs]
    assert len(runs(outputs)) == 7  # with the parent


@pytest.mark.slow
def test_one_ctrl_c_finishes_what_runs_and_begins_nothing(outputs: Path) -> None:
    process = begin(outputs, "seed=range(1,20)", "trainer.max_epochs=2", "search.export=false")
    wait_until(lambda: '"intermediate_value"' in journal(outputs), seconds=120, what="the first report of a trial")
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    states = Counter(row["state"] for row in trials(outputs))
    assert set(states) == {"complete"}
    assert "goes on with study" in stdout
    parent, *children = runs(outputs)
    assert parent.info.status == "KILLED"
    assert {child.info.status for child in children} == {"FINISHED"}


@pytest.mark.slow
def test_a_second_ctrl_c_stops_the_jobs_too(outputs: Path) -> None:
    process = begin(outputs, "seed=1,2", "callbacks=none", "trainer.max_epochs=4000", "search.export=false")
    wait_until(lambda: '"intermediate_value"' in journal(outputs), seconds=120, what="the first report of a trial")
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1.5)
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert process.returncode == 130, stderr
    wait_until(lambda: not jobs(outputs), seconds=15, what="the jobs to end")
    _, child = runs(outputs)
    assert child.info.status == "KILLED"


@pytest.mark.slow
def test_folds_have_mean_deviation_and_pooled_metrics_in_their_parent(outputs: Path, script: Script) -> None:
    done = script(
        "train", "-m", *SMALL, "search=folds", "data.split.folds=3", "trainer.max_epochs=2", f"paths.outputs={outputs}",
        timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parent, *children = runs(outputs)
    assert [child.data.params["data.fold"] for child in children] == ["0", "1", "2"]
    results = [json.loads((outputs / "runs" / c.info.run_id / "result.json").read_text()) for c in children]
    values = [result["metrics"]["val_auc"] for result in results]
    metrics = parent.data.metrics
    assert metrics["folds/val_auc"] == pytest.approx(sum(values) / 3)
    assert metrics["folds/val_auc_std"] > 0 or len(set(values)) == 1
    assert "folds/pooled_auc" in metrics or "folds/pooled_val_auc" in metrics
    assert "data.fold" not in parent.data.tags["medexp.best_command"]  # no fold is better than another
    assert re.search(r"3 folds: val_auc 0\.\d+, deviation", done.stderr)


@pytest.mark.slow
def test_the_best_is_trained_again_with_new_seeds(outputs: Path, script: Script) -> None:
    done = script(
        "train", "-m", *SMALL, *SEARCH, "trainer.max_epochs=2", "search.n_trials=2", "search.refit=2",
        f"paths.outputs={outputs}", timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parent, *children = runs(outputs)
    assert [child.data.params["seed"] for child in children] == ["0", "0", "1", "2"]
    again = children[2:]
    assert {child.data.tags["mlflow.parentRunId"] for child in again} == {parent.info.run_id}
    best = parent.data.tags["medexp.best_overrides"].split()
    assert all(f"{key}={child.data.params[key]}" in best for child in again for key in ("data.aug",))
    values = [child.data.metrics["test_auc"] for child in again]  # these are tested
    assert parent.data.metrics["refit/test_auc_mean"] == pytest.approx(sum(values) / 2)
    assert "trained 2 times with new seeds" in done.stderr
    scores = [child.data.metrics["best_val_auc"] for child in again]
    assert parent.data.metrics["refit/val_auc_mean"] == pytest.approx(sum(scores) / 2)


@pytest.mark.slow
def test_a_job_that_is_killed_each_time_costs_its_trial_alone(outputs: Path) -> None:
    process = begin(
        outputs, "seed=1,2", "trainer.max_epochs=30", "search.export=false", "search.max_retry=1",
    )  # fmt: skip
    for _ in range(2):  # both attempts at the first trial
        wait_until(lambda: jobs(outputs), seconds=120, what="a job")
        (job,) = jobs(outputs)
        os.kill(job, signal.SIGKILL)
        wait_until(lambda job=job: job not in jobs(outputs), seconds=30, what="the job to be gone")  # type: ignore[misc]
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "1 of 2 trials failed" in stderr
    assert "killed" in stderr
    assert [row["state"] for row in trials(outputs)] == ["failed", "complete"]


@pytest.mark.slow
def test_a_fresh_study_says_which_command_goes_on_with_it(outputs: Path, script: Script) -> None:
    """With search.fresh=true the same command makes another one each time."""
    sweep = (
        "train",
        "-m",
        *SMALL,
        "seed=1,2",
        "trainer.max_epochs=1",
        "search.export=false",
        f"paths.outputs={outputs}",
    )
    fresh = script(*sweep, "search.n_trials=1", "search.fresh=true")
    assert fresh.returncode == 0, fresh.stderr
    hint = re.search(
        r"search\.n_trials=2 and the same command with (search\.study='.*?') for search.fresh", fresh.stdout
    )
    assert hint is not None, fresh.stdout
    assert hint[1] in fresh.stderr  # said at once: a sweep that is killed has no last words
    done = script(*sweep, "search.n_trials=2", hint[1])
    assert done.returncode == 0, done.stderr
    assert len(runs(outputs)) == 3
    compare = re.search(r"compare  python scripts/compare\.py (.*)", done.stdout)
    assert compare is not None
    assert "2 trials: 2 complete" in script("compare", *shlex.split(compare[1])).stdout  # wherever the outputs are
    assert [row["state"] for row in trials(outputs)] == ["complete", "complete"]


def test_one_fold_beside_all_folds_is_refused_before_anything_is_trained(script: Script, outputs: Path) -> None:
    done = script("train", "-m", "search.folds=true", "data.fold=null,0", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "Each trial trains every fold" in done.stderr
    assert not (outputs / "sweeps").exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(script: Script) -> None:
    done = script("train", "-m", "seed=1,2", "paths.outputs=/proc/nowhere")
    assert done.returncode == 1
    assert "paths.outputs: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_best_of_the_folds_is_not_trained_again(script: Script, outputs: Path) -> None:
    done = script("train", "-m", "search=folds", "search.refit=2", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "The best of the folds is the easiest one" in done.stderr
    assert not (outputs / "sweeps").exists()


def test_several_objectives_have_a_front_and_no_pruner(script: Script) -> None:
    done = script("train", "-m", *SEARCH, "search.objectives=[{metric:val_auc,mode:max},{metric:parameters,mode:min}]")
    assert done.returncode == 1
    assert "search.pruner=none" in done.stderr
