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
import hashlib
from medexp.tracking.killable import killable
with killable(grace=0.6) as ending:
    ending.abandon = lambda: print("abandoned", flush=True)
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # as a long graph: minutes in which no handler of Python runs
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_outlasts_the_grace_is_abandoned(number: signal.Signals, code: int) -> None:
    def heed() -> None:
        signal.signal(number, signal.SIG_DFL)

    process = subprocess.Popen([sys.executable, "-c", NATIVE], stdout=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == "abandoned\n"
    assert 0.5 < time.monotonic() - start < 5


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
