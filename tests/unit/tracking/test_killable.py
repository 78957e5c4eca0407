"""SIGTERM unwinds the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

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


NATIVE = """
import hashlib, os, sys, threading
from medexp.tracking.killable import killable
def abandoned():
    os.write(1, b"abandoned\\n")
def hangs():
    abandoned()
    threading.Event().wait()
with killable(grace=0.6) as ending:
    ending.abandon = abandoned
    with killable(grace=60) as inner:
        inner.abandon = hangs if "hangs" in sys.argv else abandoned
        print("ready", flush=True)
        # As a long graph: minutes in which no handler of Python runs.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""
UNWINDS = """
import time
from medexp.tracking.killable import killable
with killable(grace=0.6) as ending:
    ending.abandon = lambda: print("abandoned", flush=True)
    try:
        with killable() as inner:
            inner.abandon = lambda: print("closed already", flush=True)
            print("ready", flush=True)
            time.sleep(60)
    finally:
        time.sleep(60)
"""


def started(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that runs `code`, a moment after it has said that it is ready; it heeds all signals."""

    def heed() -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_outlasts_the_grace_is_abandoned_a_run_and_those_around_it(number: signal.Signals, code: int) -> None:
    process = started(NATIVE)
    start = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == "abandoned\n" * 2
    assert 0.5 < time.monotonic() - start < 5


def test_what_cannot_even_be_abandoned_keeps_nothing_alive() -> None:
    process = started(NATIVE, "hangs")
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, "abandoned\n" * 2)
    assert 2 < time.monotonic() - start < 6


def test_the_clock_runs_on_when_an_inner_context_has_ended() -> None:
    process = started(UNWINDS)
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, "abandoned\n")
    assert time.monotonic() - start < 5


def test_a_second_ctrl_c_does_not_wait_for_what_is_under_way() -> None:
    process = started(NATIVE)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "abandoned\n" * 2)
    assert time.monotonic() - start < 8


def test_what_ends_in_time_is_not_abandoned() -> None:
    with pytest.raises(SystemExit), killable(grace=0.2) as ending:
        ending.abandon = lambda: pytest.fail("abandoned")
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    time.sleep(0.4)


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
