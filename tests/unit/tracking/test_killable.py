"""SIGTERM unwinds the program."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from medexp.tracking.killable import killable


def test_sigterm_leaves_through_the_context_with_143() -> None:
    left = []
    with pytest.raises(SystemExit) as ending, killable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            left.append("closed")
    assert ending.value.code == 143
    assert left == ["closed"]


def test_the_handler_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with killable():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_change_nothing() -> None:
    seen = []

    def work() -> None:
        with killable():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with killable():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
