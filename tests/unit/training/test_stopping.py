"""Signals, sent to real processes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from medexp.training.stopping import stoppable

LOOP = """
import sys, time
from medexp.training.stopping import stoppable
with stoppable() as stop:
    print("ready", flush=True)
    for step in range(100):
        {step}
        print("step", step, flush=True)
        stop.obey()
"""


def heed() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def stopped(program: str, number: signal.Signals, *, times: int = 1) -> tuple[int, list[str], str, float]:
    """Send the signal once the program is ready; return its status, lines, errors, and the seconds until its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.1)
    out, err = process.communicate(timeout=30)
    return process.returncode, out.splitlines(), err, time.monotonic() - start


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)]
)
def test_the_step_that_is_under_way_is_finished(number: signal.Signals, code: int) -> None:
    status, lines, _, _ = stopped(LOOP.format(step="time.sleep(0.3)"), number)
    assert status == code
    assert lines == ["step 0"]


def test_a_second_signal_does_not_wait_for_the_step() -> None:
    status, lines, _, seconds = stopped(LOOP.format(step="time.sleep(20)"), signal.SIGTERM, times=2)
    assert status == 143
    assert "step 0" not in lines
    assert seconds < 5


def test_a_second_signal_stops_also_where_what_it_interrupts_raises_something_else_on_its_way_out() -> None:
    with pytest.raises(KeyboardInterrupt), stoppable():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)
        finally:
            raise AssertionError("Nesting violated for default stack")


def test_an_error_after_one_signal_is_an_error() -> None:
    with pytest.raises(AssertionError, match="of its own"), stoppable():
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("of its own")


class Failing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("reentrant call")


def test_a_line_that_cannot_be_written_loses_no_request() -> None:
    """The signal may come in the middle of another line."""
    handler, logger = Failing(), logging.getLogger("medexp.training.stopping")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with stoppable() as stop:
            with pytest.raises(RuntimeError, match="reentrant"):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(1)
            assert stop.pending
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
