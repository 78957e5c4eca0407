from __future__ import annotations

import sqlite3

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from medexp.errors import SweepError
from medexp.sweep.patience import Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Storage:
    """Fails with `cause` while there is one."""

    def __init__(self, cause: Exception | None) -> None:
        self.cause, self.calls = cause, 0

    def ask(self) -> str:
        self.calls += 1
        if self.cause is not None:
            raise SweepError("The storage failed") from self.cause
        return "answer"


AWAY = [
    FileNotFoundError("study.journal"),
    ConnectionRefusedError(),
    StorageInternalError(),
    OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked")),
]


@pytest.mark.parametrize("cause", AWAY, ids=lambda cause: type(cause).__name__)
def test_a_storage_that_is_away_is_asked_again_less_and_less_often_until_it_answers(cause: Exception) -> None:
    clock, storage = Clock(), Storage(cause)
    patience = Patience(seconds=60, clock=clock)
    for _ in range(300):
        assert patience.ask(storage.ask, otherwise="nothing") == "nothing"
        clock.now += 0.1
    assert storage.calls == 5  # after 0, 1, 3, 7 and 15 seconds
    patience.check()
    storage.cause = None
    clock.now += 15
    assert patience.ask(storage.ask, otherwise="nothing") == "answer"
    assert not patience.away


def test_a_storage_that_is_away_for_too_long_is_given_up() -> None:
    clock, storage = Clock(), Storage(ConnectionRefusedError())
    patience = Patience(seconds=60, clock=clock)
    patience.ask(storage.ask, otherwise=None)
    clock.now = 61
    with pytest.raises(SweepError, match="The storage failed"):
        patience.check()


@pytest.mark.parametrize("cause", [ImportError("psycopg"), ValueError("the space has changed")])
def test_what_does_not_pass_by_waiting_is_raised_at_once(cause: Exception) -> None:
    with pytest.raises(SweepError):
        Patience(seconds=60, clock=Clock()).ask(Storage(cause).ask, otherwise=None)
