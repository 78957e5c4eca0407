from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from toy_study import TIMING, GridSpace, ToySpace, open_toy, toy_plan, toy_pruner

from medexp.errors import SweepError
from medexp.sweep import attempts as names
from medexp.sweep.attached import StudyTrial, attach
from medexp.sweep.lease import ATTRIBUTE, Lease, Timing
from medexp.sweep.plan import Plan
from medexp.sweep.records import Order
from medexp.sweep.study import SharedStudy

GONE = Lease("", "", 0, 0, 0.0, "", "lost")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return toy_plan(str(tmp_path / "study.journal"), tmp_path, n_trials=4, max_retry=2)


@pytest.fixture
def study(plan: Plan) -> SharedStudy:
    return open_toy(plan)


def _ask(study: SharedStudy) -> Order:
    order = study.ask()
    assert order is not None
    return order


def _job(study: SharedStudy, order: Order) -> StudyTrial:
    return attach(study.plan.storage, study.plan.name, order.number, make_pruner=toy_pruner, timing=TIMING, patience=1)


def _set(study: SharedStudy, number: int, key: str, value: Any) -> None:
    storage = study.storage
    study_id = storage.get_study_id_from_name(study.plan.name)
    storage.set_trial_user_attr(storage.get_trial_id_from_study_id_trial_number(study_id, number), key, value)


def _kill(study: SharedStudy, number: int) -> None:
    """As if the process that works on an attempt had been killed."""
    lease = Lease.of(os.getpid())
    _set(study, number, ATTRIBUTE, replace(lease, started=lease.started - 1).attribute())


def _trials(study: SharedStudy) -> list[optuna.trial.FrozenTrial]:
    return study.storage.get_all_trials(study.storage.get_study_id_from_name(study.plan.name))


def test_n_trials_counts_all_that_were_begun_whoever_began_them(plan: Plan, study: SharedStudy) -> None:
    orders = [_ask(study), _ask(open_toy(plan)), _ask(study), _ask(open_toy(plan))]

    assert [order.index for order in orders] == [0, 1, 2, 3]
    assert study.ask() is None
    assert study.unfinished() == 4


def test_more_trials_continue_the_count(plan: Plan, study: SharedStudy) -> None:
    for _ in range(4):
        _job(study, _ask(study)).complete([0.5])
    assert study.unfinished() == 0

    more = open_toy(replace(plan, n_trials=6))

    assert _ask(more).index == 4
    assert more.unfinished() == 2


def test_a_killed_trial_is_begun_again_with_what_was_chosen(study: SharedStudy) -> None:
    order = _ask(study)
    job = _job(study, order)
    job.began("abc", study.plan.folder)
    job.report(0.5, step=0)
    _kill(study, order.number)

    again = _ask(study)

    assert (again.number, again.index, again.attempt) == (1, 0, 2)
    assert again.overrides == order.overrides
    assert again.resume == study.plan.folder
    assert [trial.state for trial in _trials(study)] == [TrialState.FAIL, TrialState.RUNNING]
    assert _trials(study)[1].params == _trials(study)[0].params
    assert _trials(study)[1].user_attrs["first"] == 0
    (record,) = study.records()
    assert (record.index, record.state, record.attempts, record.run_id) == (0, "running", 2, "abc")
    assert record.reports == {0: 0.5}


def test_reports_do_not_go_with_a_trial_that_starts_from_the_beginning(study: SharedStudy, tmp_path: Path) -> None:
    order = _ask(study)
    job = _job(study, order)
    job.began("abc", tmp_path / "on another machine")
    job.report(0.5, step=0)
    _kill(study, order.number)

    assert _ask(study).resume is None
    assert study.records()[0].reports == {}


def test_a_trial_that_lives_is_left_alone(plan: Plan, study: SharedStudy) -> None:
    order = _ask(study)
    with _job(study, order) as job:
        assert _ask(open_toy(plan)).index == 1
        job.complete([0.5])

    assert study.records()[0].values == (0.5,)


def test_a_trial_that_is_killed_again_and_again_has_failed(plan: Plan, study: SharedStudy) -> None:
    for attempt in (1, 2, 3):
        order = _ask(study)
        assert (order.index, order.attempt) == (0, attempt)
        _kill(study, order.number)
    study.reap()

    assert _ask(study).index == 1
    record = study.records()[0]
    assert (record.state, record.error, record.attempts) == ("failed", "killed 3 times", 3)
    assert all(trial.state == TrialState.FAIL for trial in _trials(study)[:3])

    assert _ask(open_toy(replace(plan, max_retry=3))).index == 0


def test_a_trial_that_was_given_back_was_not_killed(study: SharedStudy) -> None:
    for _ in range(10):
        order = _ask(study)
        assert order.index == 0
        study.give_back(order.number)


def test_a_job_that_gave_its_trial_back_was_not_killed_whatever_its_launcher_says(plan: Plan) -> None:
    study = open_toy(replace(plan, max_retry=0))
    order = _ask(study)
    with _job(study, order) as job:
        job.release()
    study.ended(order.number, error="stopped by SIGTERM", killed=True)
    study.reap()
    assert _ask(study).index == order.index


def test_a_lost_job_is_begun_again_at_once_and_counted(plan: Plan) -> None:
    study = open_toy(plan, timing=Timing(renew=0))
    for _ in range(3):
        order = _ask(study)
        assert order.index == 0
        study.ended(order.number, error="killed by signal 9", killed=True)
        study.reap()  # must not renew what was lost

    assert _ask(study).index == 1


def test_an_error_is_final(study: SharedStudy) -> None:
    study.ended(_ask(study).number, error="no such file", killed=False)

    assert _ask(study).index == 1
    record = study.records()[0]
    assert (record.state, record.error) == ("failed", "no such file")


@pytest.mark.parametrize("killed", [True, False])
def test_what_the_job_told_counts_more_than_how_it_ended(study: SharedStudy, killed: bool) -> None:
    order = _ask(study)
    _job(study, order).complete([0.5])

    study.ended(order.number, error="killed while it cleared up", killed=killed)

    assert study.records()[0].state == "complete"
    assert _ask(study).index == 1


def test_a_job_that_told_its_error_and_was_killed_before_the_end_has_failed(study: SharedStudy) -> None:
    order = _ask(study)
    _set(study, order.number, names.ERROR, "out of memory")
    _kill(study, order.number)

    assert _ask(study).index == 1
    assert (study.records()[0].state, study.records()[0].error) == ("failed", "out of memory")


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it happens."""


@pytest.mark.parametrize("write", range(12))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sweeper_killed_at_any_write_of_a_retry_loses_nothing(
    plan: Plan, study: SharedStudy, write: int, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every crash window of taking a killed trial over, one after the other."""
    order = _ask(study)
    _kill(study, order.number)
    dying = open_toy(plan)
    writes = 0
    real: Callable[..., Any] = dying.storage._write_log  # type: ignore[attr-defined]

    def dies(*args: Any) -> None:
        nonlocal writes
        writes += 1
        if writes - 1 == write and moment == "before":
            raise Killed
        if writes - 1 > write:
            raise Killed
        real(*args)
        if writes - 1 == write:
            raise Killed

    monkeypatch.setattr(dying.storage, "_write_log", dies)
    monkeypatch.setattr(
        Lease, "of", classmethod(lambda cls, pid: replace(GONE, host="", state="lost", owner=str(writes)))
    )
    try:
        dying.ask()
        dying.ask()
    except Killed:
        pass
    monkeypatch.undo()

    results = 0
    study = open_toy(replace(plan, max_retry=100))
    while (next_order := study.ask()) is not None:
        _job(study, next_order).complete([float(next_order.index)])
        results += 1
    study.reap()

    assert [record.values for record in study.records()] == [(0.0,), (1.0,), (2.0,), (3.0,)]
    assert results == 4
    assert study.records()[0].overrides == order.overrides
    assert TrialState.RUNNING not in {trial.state for trial in _trials(study)}


def test_of_two_that_take_a_trial_over_at_once_one_has_it(
    plan: Plan, study: SharedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill(study, _ask(study).number)
    first, second = open_toy(plan), open_toy(plan)
    real = second._store.create_retry

    def later(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        assert _ask(first).index == 0  # between the decision and the write of the second
        return real(*args, **options)

    monkeypatch.setattr(second._store, "create_retry", later)

    assert _ask(second).index == 1
    assert [record.index for record in study.records()] == [0, 1]
    assert sum("void" in trial.user_attrs for trial in _trials(study)) == 1


def test_a_job_that_begins_at_the_last_moment_keeps_its_trial(
    plan: Plan, study: SharedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = _ask(study)
    _kill(study, order.number)  # the sweeper, before its job has attached
    other = open_toy(plan)
    real = other._store.create_retry
    jobs: list[StudyTrial] = []

    def later(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        jobs.append(_job(study, order))
        return real(*args, **options)

    monkeypatch.setattr(other._store, "create_retry", later)

    assert _ask(other).index == 1
    jobs[0].report(0.5, step=0)
    assert not jobs[0].over
    assert [record.state for record in study.records()] == ["running", "running"]

    _kill(study, order.number)  # the void retry does not stand in the way of another
    assert _ask(other).index == 0


@pytest.mark.parametrize("where", ["create_retry", "end"])
def test_a_job_that_tells_its_result_at_the_last_moment_is_believed(
    plan: Plan, study: SharedStudy, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    order = _ask(study)
    job = _job(study, order)
    _kill(study, order.number)
    other = open_toy(plan)
    real = getattr(other._store, where)

    def later(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        job.complete([0.5])
        return real(*args, **options)

    monkeypatch.setattr(other._store, where, later)

    assert _ask(other).index == 1
    assert study.records()[0].values == (0.5,)
    assert not job.over


def test_a_job_that_was_thought_dead_learns_that_it_is_over(study: SharedStudy) -> None:
    order = _ask(study)
    job = _job(study, order)
    _kill(study, order.number)
    again = _ask(study)

    job.report(0.9, step=0)
    assert job.over
    assert job.should_prune()
    job.complete([0.9])
    _job(study, again).complete([0.5])

    assert [record.values for record in study.records()] == [(0.5,)]


def test_a_trial_too_many_is_not_lost_when_more_are_wanted(
    plan: Plan, study: SharedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        _job(study, _ask(study)).complete([0.5])
    late = open_toy(plan)
    real = late._store.create_first

    def later(lease: Lease) -> Any:
        monkeypatch.undo()
        assert _ask(study).index == 3
        return real(lease)

    monkeypatch.setattr(late._store, "create_first", later)

    assert late.ask() is None
    assert len(late.records()) == 4
    more = open_toy(replace(plan, n_trials=6))
    assert [_ask(more).index, _ask(more).index] == [4, 5]


def test_the_sampler_sees_the_study_as_if_nothing_had_been_killed(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    calm = open_toy(replace(plan, storage=str(tmp_path / "calm" / "study.journal"), n_trials=10))
    stormy = open_toy(replace(plan, n_trials=10))
    seen: list[list[int]] = []

    for study, kills in ((calm, 0), (stormy, 2)):
        while (order := study.ask()) is not None:
            for _ in range(kills):
                _kill(study, order.number)
                order = _ask(study)
            _job(study, order).complete([float(order.overrides[2][-1])])
        seen.append([trial.number for trial in study.as_optuna().get_trials(deepcopy=False)])

    assert [record.overrides for record in stormy.records()] == [record.overrides for record in calm.records()]
    assert seen == [list(range(10))] * 2
    assert len(_trials(stormy)) == 30


def test_a_grid_gives_each_combination_to_one_trial(plan: Plan) -> None:
    plan = replace(plan, space=GridSpace(), sampler="grid", n_trials=6)
    studies = [open_toy(plan), open_toy(plan)]
    asked = [_ask(studies[i % 2]).overrides for i in range(6)]

    assert len(set(asked)) == 6


def test_another_definition_is_refused_with_what_differs(plan: Plan, study: SharedStudy) -> None:
    changed = replace(plan, definition={"rate": "interval(1,2)", "model": "vgg16"})

    with pytest.raises(SweepError) as caught:
        open_toy(changed)

    assert "rate: tag(log,interval(1e-5,1e-1)) -> interval(1,2)" in str(caught.value)
    assert "model: - -> vgg16" in str(caught.value)
    assert "sampler: tpe -> -" in str(caught.value)
    assert "search.fresh=true" in str(caught.value)

    open_toy(changed, allow_changed=True)
    open_toy(changed)  # it is the definition from then on


def test_a_choice_that_has_changed_is_refused_and_costs_no_trial(plan: Plan, study: SharedStudy) -> None:
    _job(study, _ask(study)).complete([0.5])
    changed = replace(plan, space=ToySpace(("none", "strong")), definition={"policy": "another"})

    with pytest.raises(SweepError, match=r"search\.fresh=true"):
        open_toy(changed, allow_changed=True).ask()

    assert _ask(study).index == 1


def test_a_trial_enqueued_by_hand_is_run_first(study: SharedStudy) -> None:
    study.as_optuna()  # Optuna's own study does not write through what is shown to samplers
    optuna.load_study(study_name="toy", storage=study.storage).enqueue_trial({"depth": 5, "policy": "strong"})

    order = _ask(study)

    assert order.index == 0
    assert order.overrides[1:] == ("policy=strong", "depth=5")
    study.lost(order.number)
    assert _ask(study).overrides == order.overrides


def test_jobs_without_their_sweeper_are_counted(plan: Plan, study: SharedStudy) -> None:
    order = _ask(study)
    with _job(study, order) as job:
        assert study.orphans() == 0
        lease = Lease.of(os.getpid())
        _set(study, order.number, names.SWEEPER, replace(lease, started=lease.started - 1).attribute())
        assert open_toy(plan).orphans() == 1
        job.complete([0.5])
    assert study.orphans() == 0


def test_what_is_stored_of_the_study_is_found_again(plan: Plan, study: SharedStudy) -> None:
    assert study.user_attr("parent") is None
    with study.exclusive():
        study.set_user_attr("parent", "abc")

    assert open_toy(plan).user_attr("parent") == "abc"
