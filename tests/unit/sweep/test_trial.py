from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError
from toy_study import TIMING, open_toy, toy_plan, toy_pruner

from medexp.errors import SweepError
from medexp.sweep.attached import StudyTrial, attach
from medexp.sweep.lease import Lease, Timing
from medexp.sweep.plan import Plan
from medexp.sweep.records import Record
from medexp.sweep.study import SharedStudy
from medexp.sweep.trial import NullTrial, Trial
from medexp.types import Objective


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return toy_plan(str(tmp_path / "study.journal"), tmp_path, n_trials=8, pruner_options={"n_startup_trials": 1})


@pytest.fixture
def study(plan: Plan) -> SharedStudy:
    return open_toy(plan)


def _attach(
    study: SharedStudy, number: int | None = None, *, timing: Timing = TIMING, patience: float = 1
) -> StudyTrial:
    if number is None:
        order = study.ask()
        assert order is not None
        number = order.number
    plan = study.plan
    return attach(plan.storage, plan.name, number, make_pruner=toy_pruner, timing=timing, patience=patience)


def _record(study: SharedStudy) -> Record:
    return study.records()[-1]


@pytest.fixture
def broken(study: SharedStudy) -> tuple[StudyTrial, dict[str, bool]]:
    """A trial whose storage goes away and comes back as `state["away"]` says."""
    trial, state = _attach(study), {"away": False}
    journal = trial._storage._backend  # type: ignore[attr-defined]
    real_append, real_read = journal.append_logs, journal.read_logs

    def append(logs: Any) -> None:
        if state["away"]:
            raise StorageInternalError("the server closed the connection")
        real_append(logs)

    def read(number: int) -> Any:
        if state["away"]:
            raise StorageInternalError("the server closed the connection")
        return real_read(number)

    journal.append_logs, journal.read_logs = append, read
    return trial, state


def test_a_job_tells_its_own_result(study: SharedStudy, tmp_path: Path) -> None:
    with _attach(study) as trial:
        trial.began("abc", tmp_path)
        for epoch, value in enumerate((0.5, 0.7)):
            trial.report(value, step=epoch)
            assert not trial.should_prune()
        trial.trained(2)
        trial.complete([0.7])

    record = _record(study)
    assert (record.state, record.values, record.run_id, record.epochs) == ("complete", (0.7,), "abc", 2)
    assert record.reports == {0: 0.5, 1: 0.7}


def test_a_hopeless_trial_is_pruned_by_what_the_study_says_of_its_pruner(study: SharedStudy) -> None:
    with _attach(study) as good:
        for epoch in range(3):
            good.report(0.9, step=epoch)
        good.complete([0.9])
    with _attach(study) as bad:
        bad.report(0.1, step=0)
        assert bad.should_prune()
        bad.prune()

    assert (_record(study).state, _record(study).values, _record(study).error) == ("pruned", (0.1,), None)


def test_a_resumed_trial_is_judged_by_what_this_attempt_has_reached(study: SharedStudy, tmp_path: Path) -> None:
    """What an earlier attempt reported of later epochs must not be compared at this one."""
    with _attach(study) as good:
        for epoch, value in enumerate((0.1, 0.9, 0.9)):
            good.report(value, step=epoch)
        good.complete([0.9])
    killed = _attach(study)
    killed.began("abc", tmp_path)
    for epoch in range(3):
        killed.report(0.2, step=epoch)
    assert killed.should_prune()
    study.lost(killed.number or 0)

    again = _attach(study)
    assert again.resume_from == tmp_path
    again.report(0.2, step=0)
    assert not again.should_prune()
    again.report(0.2, step=1)
    assert again.should_prune()


def test_several_objectives_are_neither_reported_nor_pruned(plan: Plan) -> None:
    study = open_toy(replace(plan, objectives=(Objective("val_auc", "max"), Objective("parameters", "min"))))
    with _attach(study) as trial:
        trial.report(0.5, step=0)
        assert not trial.should_prune()
        with pytest.raises(SweepError, match="2 objectives"):
            trial.complete([0.5])
        trial.complete([0.5, 1000])

    assert _record(study).values == (0.5, 1000.0)
    assert _record(study).reports == {}


def test_a_result_that_is_not_a_number_is_a_failure(study: SharedStudy) -> None:
    with _attach(study) as trial:
        trial.report(float("nan"), step=0)
        trial.complete([float("nan")])

    assert _record(study).state == "failed"
    assert "not a number" in (_record(study).error or "")


def test_an_error_of_the_job_is_told_without_passwords(study: SharedStudy) -> None:
    with pytest.raises(RuntimeError), _attach(study):
        raise RuntimeError("no answer from postgresql://anna:s3cret@host/db")

    assert _record(study).error == "RuntimeError: no answer from postgresql://anna:***@host/db"
    assert study.unfinished() == 7


def test_a_job_that_is_interrupted_gives_its_trial_back(study: SharedStudy) -> None:
    with pytest.raises(KeyboardInterrupt), _attach(study) as trial:
        raise KeyboardInterrupt

    order = study.ask()
    assert order is not None
    assert (order.index, order.number) == (trial.index, 1)


def test_a_job_that_forgets_to_tell_has_failed(study: SharedStudy) -> None:
    with _attach(study):
        pass

    assert (_record(study).state, _record(study).error) == ("failed", "the job ended without a result")


def test_telling_twice_counts_once(study: SharedStudy) -> None:
    with _attach(study) as trial:
        trial.complete([0.5])
        trial.complete([0.6])
        trial.fail("afterwards")
        trial.release()
        assert not trial.over

    assert (_record(study).state, _record(study).values) == ("complete", (0.5,))


def test_a_trial_that_has_ended_is_not_run(study: SharedStudy) -> None:
    with _attach(study) as trial:
        trial.complete([0.5])

    with pytest.raises(SweepError, match="not to be run"):
        _attach(study, 0)


@pytest.mark.parametrize(("name", "number"), [("toy", 7), ("another", 0)])
def test_a_trial_that_there_is_not_is_named(study: SharedStudy, name: str, number: int) -> None:
    with pytest.raises(SweepError, match=f"sweep.study={name} sweep.trial={number}"):
        attach(study.plan.storage, name, number, make_pruner=toy_pruner)


def test_the_lease_is_renewed_until_the_result_is_told(study: SharedStudy) -> None:
    def stored() -> Lease | None:
        trials = study.storage.get_all_trials(study.storage.get_study_id_from_name("toy"))
        return Lease.read(trials[0].user_attrs)

    with _attach(study, timing=Timing(renew=0.05)) as trial:
        first = stored()
        time.sleep(0.3)
        second = stored()
        trial.complete([0.5])
    told = stored()
    time.sleep(0.2)

    assert first is not None
    assert second is not None
    assert first.pid == os.getpid()
    assert second.time > first.time
    assert stored() == told


def test_reports_wait_for_a_storage_that_is_away(
    study: SharedStudy, broken: tuple[StudyTrial, dict[str, bool]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial, state = broken
    state["away"] = True
    with caplog.at_level(logging.WARNING):
        trial.began("abc", tmp_path)
        trial.report(0.5, step=0)
        trial.report(0.6, step=1)
        assert not trial.should_prune()
    assert len(caplog.records) == 1  # said once

    state["away"] = False
    trial.report(0.7, step=2)

    assert _record(study).reports == {0: 0.5, 1: 0.6, 2: 0.7}
    assert _record(study).run_id == "abc"


def test_the_result_waits_for_a_storage_that_is_away(
    study: SharedStudy, broken: tuple[StudyTrial, dict[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, state = broken
    state["away"] = True
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        state["away"] = len(pauses) < 3

    monkeypatch.setattr(time, "sleep", pause)
    trial._patience = 600
    trial.complete([0.5])

    assert _record(study).values == (0.5,)
    assert pauses == [0.5, 1.0, 2.0]


def test_a_storage_that_stays_away_costs_the_result_and_no_training(
    study: SharedStudy, broken: tuple[StudyTrial, dict[str, bool]], caplog: pytest.LogCaptureFixture
) -> None:
    trial, state = broken
    state["away"] = True
    trial._patience = 0.1

    trial.complete([0.5])

    assert "the result is lost" in caplog.text


def test_a_result_whose_answer_got_lost_was_told(study: SharedStudy, broken: tuple[StudyTrial, Any]) -> None:
    trial, _ = broken
    real = trial._storage.set_trial_state_values
    calls: list[int] = []

    def lost(*args: Any, **options: Any) -> Any:
        calls.append(1)
        real(*args, **options)
        raise StorageInternalError("the answer did not come")

    trial._storage.set_trial_state_values = lost  # type: ignore[method-assign]
    trial._patience = 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: setattr(trial._storage, "set_trial_state_values", real))
        trial.complete([0.5])

    assert len(calls) == 1
    assert _record(study).values == (0.5,)
    assert not trial.over


def test_outside_studies_nothing_is_asked_of_the_trial() -> None:
    trial: Trial = NullTrial()
    trial.began("abc", Path())
    trial.report(0.5, step=0)
    trial.trained(3)
    trial.complete([0.5])
    trial.prune()
    trial.fail("why")
    trial.release()

    assert not trial.should_prune()
    assert not trial.over
    assert trial.number is None
    assert trial.resume_from is None


def test_training_without_a_study_does_not_load_optuna() -> None:
    code = "import sys, medexp.sweep.trial, medexp.sweep.plan, medexp.sweep.records; sys.exit('optuna' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
