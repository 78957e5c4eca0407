"""How a script ends."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

PROGRAM = """
import atexit, sys, time
from medexp.config.door import run
from medexp.config.register import CONF
class Slow:
    def __del__(self):
        time.sleep(30)  # as what TensorFlow takes apart
slow = Slow()
code, sys.argv = int(sys.argv[1]), ["sync.py"]
atexit.register(lambda: print("at the end"))
if code < 128:
    del Slow.__del__
def main():
    print("begins")
    raise SystemExit(code)
run(main, CONF, "sync")
"""


@pytest.mark.parametrize("code", [0, 1, 143, 130])
def test_a_program_that_a_signal_has_stopped_ends_with_its_status_and_takes_nothing_apart(code: int) -> None:
    start = time.monotonic()
    command = [sys.executable, "-c", PROGRAM, str(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, "begins\nat the end\n"), done.stderr
    assert time.monotonic() - start < 25


def test_ctrl_c_before_the_work_begins_ends_without_a_traceback() -> None:
    program = PROGRAM.replace("raise SystemExit(code)", "raise KeyboardInterrupt")
    done = subprocess.run([sys.executable, "-c", program, "130"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "begins\nat the end\n", "")
