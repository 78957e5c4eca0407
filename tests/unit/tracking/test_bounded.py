"""Whoever has no time does not wait."""

from __future__ import annotations

import threading
import time

import pytest

from medexp.tracking.bounded import bounded


def test_an_answer_in_time_is_returned() -> None:
    assert bounded(lambda: 3, seconds=5) == 3


def test_what_is_raised_in_time_is_raised() -> None:
    with pytest.raises(KeyError):
        bounded(lambda: {}["a"], seconds=5)


def test_what_hangs_is_left_behind() -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        bounded(threading.Event().wait, seconds=0.2)
    assert time.monotonic() - start < 2
