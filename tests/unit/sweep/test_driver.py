from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import toy_study
from support import ROOT, wait_until
from toy_study import FORK, diary, open_toy
from toy_sweep import plan_in, sweep, toy_job

from medexp.errors import ConfigError, DataError
from medexp.sweep.outcome import Limits, Outcome
from medexp.sweep.records import Order, Record

DONE = Outcome("done")


def records(folder: Path, n_trials: int) -> tuple[Record, ...]:
    return open_toy(plan_in(folder, n_trials=n_trials)).records()


def states(folder: Path, n_trials: int) -> list[str]:
    return [record.state for record in records(folder, n_trials)]


def test_a_study_is_run_to_its_end_and_the_same_command_finds_nothing_left(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, n_trials=6)
    assert sweep(plan, toy_job(tmp_path, 0), slots=2) == DONE
    assert set(states(tmp_path, 6)) <= {"complete", "pruned"}
    told = diary(tmp_path)
    assert sweep(plan, toy_job(tmp_path, 0), slots=2) == DONE
    assert diary(tmp_path) == told


def test_no_trial_waits_for_another_one(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        toy_job(tmp_path, 2.5 if number == 0 else 0.02)(number, overrides)

    assert sweep(plan_in(tmp_path, n_trials=6, pruner="none"), job, slots=2) == DONE
    assert [index for what, index, _ in diary(tmp_path) if what == "told"][-1] == 0


def test_a_killed_trial_is_begun_again_and_costs_itself_alone(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        if number == 1:
            threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGKILL]).start()
        toy_job(tmp_path, 0.2)(number, overrides)

    assert sweep(plan_in(tmp_path, n_trials=3, pruner="none"), job, slots=2) == DONE
    assert states(tmp_path, 3) == ["complete"] * 3
    assert [record.attempts for record in records(tmp_path, 3)] == [1, 2, 1]


def test_a_trial_that_is_killed_before_it_finds_its_study_fails_after_so_many_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        if overrides[0] == "seed=0":
            os.kill(os.getpid(), signal.SIGKILL)
        toy_job(tmp_path, 0)(number, overrides)

    def arguments(order: Order) -> list[str]:
        return [f"seed={order.index}"]

    plan = plan_in(tmp_path, n_trials=2, max_retry=2)
    with caplog.at_level(logging.INFO):
        assert sweep(plan, job, arguments=arguments) == DONE
    first, second = open_toy(plan).records()
    assert (first.state, first.error) == ("failed", "killed 3 times")
    assert second.state == "complete"
    assert caplog.text.count("trial 0 was lost: killed by signal 9") == 3
    assert str(tmp_path / "trials" / "0.log") in caplog.text


def test_a_trial_that_fails_before_it_finds_its_study_fails_for_the_reason_that_it_gave(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        if number == 0:
            raise DataError("No images. Override: data.path=...")
        toy_job(tmp_path, 0)(number, overrides)

    with caplog.at_level(logging.INFO):
        assert sweep(plan_in(tmp_path, n_trials=2), job) == DONE
    failed, other = records(tmp_path, 2)
    assert (failed.state, failed.error) == ("failed", "No images. Override: data.path=...")
    assert other.state == "complete"
    log = tmp_path / "trials" / "0.log"
    assert f"trial 0 failed: No images. Override: data.path=...\n  its log: {log}" in caplog.text


def test_a_command_line_that_cannot_be_composed_costs_its_trial_alone(tmp_path: Path) -> None:
    def arguments(order: Order) -> list[str]:
        if order.index == 1:
            raise ConfigError("model: unknown")
        return []

    assert sweep(plan_in(tmp_path, n_trials=3), toy_job(tmp_path, 0), arguments=arguments) == DONE
    assert [record.error for record in records(tmp_path, 3)] == [None, "model: unknown", None]


def test_it_gives_up_once_enough_trials_have_failed_and_goes_on_when_asked_again(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        if number != 1:
            raise DataError("No images")
        toy_job(tmp_path, 0)(number, overrides)

    plan = plan_in(tmp_path, n_trials=12)
    outcome = sweep(plan, job, limits=Limits(max_failure_rate=0.5, min_failures=3))
    assert outcome.stopped == "failures"
    assert outcome.reason.startswith("3 of 4 trials have failed.")
    assert len(states(tmp_path, 12)) == 4
    assert sweep(plan, toy_job(tmp_path, 0), limits=Limits(max_failure_rate=0.5, min_failures=3)) == DONE


def test_after_the_time_is_over_no_trial_begins_and_the_running_ones_are_finished(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, n_trials=50, pruner="none")
    outcome = sweep(plan, toy_job(tmp_path, 0.2), limits=Limits(timeout=0.3))
    assert outcome.stopped == "timeout"
    assert "search.timeout=0.3 s" in outcome.reason
    assert set(states(tmp_path, 50)) == {"complete"}
    assert 1 <= len(states(tmp_path, 50)) < 4


def test_a_study_that_is_complete_when_the_time_is_over_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_in(tmp_path, n_trials=1)
    assert sweep(plan, toy_job(tmp_path, 1), limits=Limits(timeout=1)) == DONE
    assert "The time is over" not in caplog.text


def test_it_waits_for_a_trial_that_somebody_else_runs(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, n_trials=2, pruner="none")
    elsewhere = open_toy(plan).ask()
    assert elsewhere is not None
    other = FORK.Process(target=toy_study.job, args=(plan.storage, "toy", elsewhere.number, tmp_path, 0.6))
    other.start()
    assert sweep(plan, toy_job(tmp_path, 0)) == DONE
    other.join()
    assert states(tmp_path, 2) == ["complete"] * 2


def test_a_storage_that_is_away_for_a_while_delays_the_next_trial_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, away = tmp_path / "store", tmp_path / "away"

    def take_away() -> None:
        wait_until((tmp_path / "diary").exists, seconds=10, what="the first trial")
        store.rename(away)
        time.sleep(2)
        away.rename(store)

    thread = threading.Thread(target=take_away)
    thread.start()
    with caplog.at_level(logging.INFO):
        assert sweep(plan_in(tmp_path, n_trials=3, pruner="none"), toy_job(tmp_path, 0.3)) == DONE
    thread.join()
    assert states(tmp_path, 3) == ["complete"] * 3
    assert [record.attempts for record in records(tmp_path, 3)] == [1] * 3
    assert "The storage of the search failed" in caplog.text
    assert "is back after" in caplog.text


@contextmanager
def program(folder: Path, *, n_trials: int, slots: int, pause: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "toy_sweep", str(folder), str(n_trials), str(slots), str(pause)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True
    ) as sweep:
        try:
            yield sweep
        finally:
            sweep.kill()


def begun(folder: Path, count: int) -> None:
    file = folder / "diary"
    wait_until(lambda: file.exists() and file.read_text().count("began") >= count, seconds=20, what="trials")


def nothing_is_left_of(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_ctrl_c_once_finishes_the_running_trials(tmp_path: Path) -> None:
    with program(tmp_path, n_trials=50, slots=2, pause=0.5) as sweep:
        begun(tmp_path, 2)
        family = psutil.Process(sweep.pid).children(recursive=True)
        os.killpg(sweep.pid, signal.SIGINT)
        output, _ = sweep.communicate(timeout=20)
    assert sweep.returncode == 0
    assert "2 that run are finished; Ctrl-C again stops them" in output
    assert "Outcome(stopped='interrupted'" in output
    assert states(tmp_path, 50) == ["complete"] * 2
    nothing_is_left_of(family)


def test_ctrl_c_twice_stops_the_trials_which_are_given_back_and_begun_again(tmp_path: Path) -> None:
    with program(tmp_path, n_trials=2, slots=2, pause=0.5) as sweep:
        begun(tmp_path, 2)
        family = psutil.Process(sweep.pid).children(recursive=True)
        os.killpg(sweep.pid, signal.SIGINT)
        time.sleep(0.2)
        start = time.monotonic()
        os.killpg(sweep.pid, signal.SIGINT)
        sweep.wait(10)
        assert time.monotonic() - start < 3
    assert sweep.returncode == 130
    nothing_is_left_of(family)
    assert not any(what == "told" for what, _, _ in diary(tmp_path))
    assert sweep_again(tmp_path, 2) == ["complete"] * 2


def test_sigterm_stops_the_trials_at_once(tmp_path: Path) -> None:
    with program(tmp_path, n_trials=2, slots=2, pause=1) as sweep:
        begun(tmp_path, 2)
        family = psutil.Process(sweep.pid).children(recursive=True)
        sweep.terminate()
        sweep.wait(5)
    assert sweep.returncode == 143
    nothing_is_left_of(family)
    assert not any(what == "told" for what, _, _ in diary(tmp_path))
    assert sweep_again(tmp_path, 2) == ["complete"] * 2


def test_after_sigkill_the_same_command_ends_with_the_same_trials_and_runs_none_twice(tmp_path: Path) -> None:
    with program(tmp_path, n_trials=6, slots=2, pause=1) as sweep:
        begun(tmp_path, 2)
        sweep.kill()
        sweep.wait()
    with program(tmp_path, n_trials=6, slots=2, pause=0.05) as sweep:
        output, _ = sweep.communicate(timeout=30)
    assert sweep.returncode == 0, output
    assert "2 trials that were begun before still run here: their slots are left to them" in output
    assert "Outcome(stopped='done'" in output
    entries = diary(tmp_path)
    assert sorted(index for what, index, _ in entries if what == "told") == list(range(6))
    assert {index for what, index, _ in entries[:3]} == {0, 1}  # with both slots taken, none began beside them


def sweep_again(folder: Path, n_trials: int) -> list[str]:
    assert sweep(plan_in(folder, n_trials=n_trials), toy_job(folder, 0), slots=2) == DONE
    return states(folder, n_trials)
