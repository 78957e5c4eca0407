from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from medexp.sweep.lease import ATTRIBUTE, Lease, Timing, Watch, boot, started

TIMING = Timing(renew=20, watch=45, patience=120)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    return Watch(TIMING, clock)


def _elsewhere(*, age: float = 0.0) -> Lease:
    return replace(Lease.of(os.getpid()), host="another", time=time.time() - age)


def test_a_lease_survives_being_stored() -> None:
    lease = Lease.of(os.getpid())

    assert Lease.read({ATTRIBUTE: lease.attribute()}) == lease
    assert Lease.read({}) is None
    assert Lease.read({ATTRIBUTE: {"of": "another version"}}) is None


def test_a_process_of_this_machine_is_dead_once_it_is_gone(watch: Watch) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease = Lease.of(process.pid)
    assert not watch.is_dead(1, lease)

    process.kill()
    time.sleep(0.2)  # not waited for: a zombie

    assert watch.is_dead(1, lease)
    process.wait()
    assert watch.is_dead(1, lease)


def test_a_process_id_that_is_used_again_is_another_process(watch: Watch) -> None:
    lease = Lease.of(os.getpid())

    assert watch.is_dead(1, replace(lease, started=lease.started - 1))


def test_a_process_id_of_another_container_or_start_says_nothing(watch: Watch) -> None:
    lease = replace(Lease.of(2**22 + 1), boot="before the machine was started again")

    assert not watch.is_dead(1, lease)


@pytest.mark.parametrize("state", ["released", "lost"])
def test_a_lease_that_was_given_up_is_dead_at_once(watch: Watch, state: str) -> None:
    assert watch.is_dead(1, Lease.of(os.getpid()).ended(state))
    assert watch.is_dead(2, _elsewhere().ended(state))


def test_an_old_lease_of_another_machine_is_watched_for_a_while(watch: Watch, clock: Clock) -> None:
    lease = _elsewhere(age=1000)

    assert not watch.is_dead(1, lease)
    clock.now += 44
    assert not watch.is_dead(1, lease)
    clock.now += 2
    assert watch.is_dead(1, lease)


def test_a_machine_whose_clock_is_wrong_lives_as_long_as_it_renews(watch: Watch, clock: Clock) -> None:
    for beat in range(50):
        clock.now += 20
        assert not watch.is_dead(1, _elsewhere(age=10_000 - beat))


def test_a_lease_from_the_future_runs_out_when_it_is_not_renewed(watch: Watch, clock: Clock) -> None:
    lease = _elsewhere(age=-10_000)
    assert not watch.is_dead(1, lease)
    clock.now += 119
    assert not watch.is_dead(1, lease)
    clock.now += 2
    assert watch.is_dead(1, lease)


def test_a_trial_without_a_lease_is_given_the_same_time(watch: Watch, clock: Clock) -> None:
    assert not watch.is_dead(1, None)
    clock.now += 119
    assert not watch.is_dead(1, None)
    clock.now += 2
    assert watch.is_dead(1, None)


def test_this_process_has_started_and_lives() -> None:
    lease = Lease.of(os.getpid())

    assert lease.host == platform.node()
    assert lease.boot == boot()
    assert lease.is_here
    assert lease.lives
    assert lease.started == started(os.getpid())
    assert started(2**22 + 1) is None
