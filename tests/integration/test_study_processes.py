"""Studies of several processes, which are killed at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from optuna.trial import TrialState
from postgres import Postgres
from toy_study import FORK, TIMING, GridSpace, diary, open_toy, pids, sweeper, toy_plan, toy_pruner

from medexp.sweep.attached import attach
from medexp.sweep.plan import Plan
from medexp.sweep.storage import is_url, open_storage

PAUSE = 0.004  # seconds an epoch takes
BETWEEN = {"file": 0.25, "database": 0.8}  # seconds between two kills, at most: databases are slower to open


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "journal":
        return str(tmp_path / "study.journal")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    return _database(request.getfixturevalue("postgres").url)


def _database(server: str) -> str:
    import psycopg

    name = f"study{random.randrange(10**9)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


class Storm:
    """Keeps some sweepers of a study going, and kills them and their jobs."""

    def __init__(self, plan: Plan, *, sweepers: int, slots: int, seed: int) -> None:
        self.plan, self.slots = plan, slots
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.groups: set[int] = set()
        self.sweepers = [self._start() for _ in range(sweepers)]

    def strike(self, *, alone: bool = True) -> None:
        """Kill a sweeper, a job, or a sweeper with its jobs."""
        place = self.random.randrange(len(self.sweepers))
        victim = self.sweepers[place]
        kind = self.random.choice(["sweeper", "job", "both"] if alone else ["job", "both"])
        self.kills[kind] += 1
        if kind == "job":
            for pid in self.random.sample(jobs := self._jobs(), min(1, len(jobs))):
                _kill(pid)
            return
        _kill(victim.pid)
        victim.join()
        if kind == "both":
            for pid in self._jobs(victim.pid):
                _kill(pid)
        self.sweepers[place] = self._start()

    def calm(self) -> None:
        """Wait until all sweepers have found the study to be done."""
        for process in self.sweepers:
            process.join(120)
        assert [process.exitcode for process in self.sweepers] == [0] * len(self.sweepers)

    def end(self) -> None:
        for process in self.sweepers:
            process.kill()
            process.join()
        for pid in self._jobs():
            _kill(pid)

    def _start(self) -> Any:
        process = FORK.Process(target=sweeper, args=(self.plan, self.slots, PAUSE))
        process.start()
        self.groups.add(process.pid)
        return process

    def _jobs(self, group: int | None = None) -> list[int]:
        """The jobs that live: ids are used again, so their group is asked."""
        found = []
        for pid in pids(self.plan.folder)[-20:]:
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) in ({group} if group else self.groups):
                    found.append(pid)
        return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _survive(plan: Plan, *, seed: int, strikes: int, sweepers: int, slots: int, alone: bool = True) -> Storm:
    storm = Storm(plan, sweepers=sweepers, slots=slots, seed=seed)
    try:
        for _ in range(strikes):
            time.sleep(storm.random.uniform(0, BETWEEN["database" if is_url(plan.storage) else "file"]))
            if not any(process.is_alive() for process in storm.sweepers):
                break
            storm.strike(alone=alone)
        storm.calm()
    finally:
        storm.end()
    return storm


def _assert_exact(plan: Plan) -> None:
    """Every trial has one result, and none was begun again after it had told it."""
    records = open_toy(plan).records()
    assert [record.index for record in records] == list(range(plan.n_trials))
    assert {record.state for record in records} <= {"complete", "pruned"}
    told: set[int] = set()
    for what, index, number in diary(plan.folder):
        assert index not in told, f"{what} {index} as {number}, which had told its result"
        if what == "told":
            told.add(index)
            assert records[index].number == number
    results: Counter[int] = Counter()
    storage = open_storage(plan.storage)
    for attempt in storage.get_all_trials(storage.get_study_id_from_name(plan.name)):
        if attempt.state in (TrialState.COMPLETE, TrialState.PRUNED):
            results[attempt.user_attrs.get("first", attempt.number)] += 1
        assert attempt.state != TrialState.WAITING
    assert sorted(results.values()) == [1] * plan.n_trials


def _chosen(plan: Plan) -> list[tuple[str, ...]]:
    return [record.overrides for record in open_toy(plan).records()]


ROUNDS = [pytest.param(seed, marks=pytest.mark.slow if seed else ()) for seed in range(8)]


@pytest.mark.parametrize("seed", ROUNDS)
def test_killed_sweepers_and_jobs_lose_and_double_no_trial(storage: str, tmp_path: Path, seed: int) -> None:
    plan = toy_plan(storage, tmp_path, n_trials=12, seed=seed)
    storm = _survive(plan, seed=seed, strikes=10, sweepers=2, slots=2)
    assert storm.kills
    _assert_exact(plan)


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
@pytest.mark.parametrize("seed", ROUNDS)
def test_an_interrupted_study_asks_what_one_asks_that_was_not(tmp_path: Path, sampler: str, seed: int) -> None:
    changes: dict[str, Any] = {"sampler": sampler, "seed": seed, "n_trials": 12}
    if sampler == "grid":
        changes["space"] = GridSpace()
    (tmp_path / "calm").mkdir()
    (tmp_path / "storm").mkdir()
    calm = toy_plan(str(tmp_path / "calm" / "study.journal"), tmp_path / "calm", **changes)
    stormy = toy_plan(str(tmp_path / "storm" / "study.journal"), tmp_path / "storm", **changes)
    _survive(calm, seed=seed, strikes=0, sweepers=1, slots=1)
    _survive(stormy, seed=seed, strikes=12, sweepers=1, slots=1)
    _assert_exact(stormy)
    assert _chosen(stormy) == _chosen(calm)


def _open(plan: Plan, barrier: Any) -> None:
    barrier.wait()
    study = open_toy(plan)
    os._exit(0 if study.records() == () else 1)


def test_many_open_a_fresh_storage_at_once(storage: str, tmp_path: Path) -> None:
    plan = toy_plan(storage, tmp_path)
    barrier = FORK.Barrier(6)
    processes = [FORK.Process(target=_open, args=(plan, barrier)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6


def test_a_job_outlives_a_server_that_is_started_again(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = toy_plan(_database(postgres.url), tmp_path)
    study = open_toy(plan)
    order = study.ask()
    assert order is not None
    with attach(plan.storage, plan.name, order.number, make_pruner=toy_pruner, timing=TIMING, patience=60) as trial:
        trial.report(0.1, step=0)
        postgres.stop()
        begin = time.monotonic()
        trial.report(0.2, step=1)
        assert not trial.should_prune()
        trial.began("abc", tmp_path)
        assert time.monotonic() - begin < 5
        assert caplog.text.count("cannot reach the storage") == 1
        restart = Thread(target=lambda: (time.sleep(2), postgres.start()))
        restart.start()
        trial.complete([0.3])
        restart.join()

    (record,) = open_toy(plan).records()
    assert (record.state, record.values, record.run_id) == ("complete", (0.3,), "abc")
    assert record.reports == {0: 0.1, 1: 0.2}
    assert study.records() == (record,)  # the sweeper goes on, too
