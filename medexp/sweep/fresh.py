"""Make a forked process one of its own: like a program that was just started, with its modules imported already."""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import io
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_FIRST_TO_DIE = 300  # of 1000, added to the share of memory: the trial that fills it, not who looks after all of them
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def forget_parent(name: str) -> None:
    """Leave the terminal and all that the parent has to do at its end; ignore the signals that are meant for it.

    Standard input, output and error lead nowhere afterwards.
    """
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    atexit._clear()
    logging.captureWarnings(False)
    logging.getLogger().handlers.clear()
    _name(name)
    _standard_streams(Path(os.devnull))


def start_afresh(name: str, *, log: Path, cores: Sequence[int], environment: Mapping[str, str]) -> None:
    """Heed signals as a new program does, and print into the file `log`, after what it holds.

    Args:
        name: as `top` shows it.
        log: its folder is made.
        cores: to run on; empty: all that the parent has.
        environment: variables to set.
    """
    os.setsid()
    _name(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    _standard_streams(log)
    faulthandler.enable(sys.stderr)  # a crash of native code says where it was
    os.environ.update(environment)
    if cores:
        os.sched_setaffinity(0, cores)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_DIE))
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends before it (Linux): `os.wait` hears of its end."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _name(name: str) -> None:
    _prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def _prctl(option: int, value: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _standard_streams(output: Path) -> None:
    """Read nothing, and append what is written to a file; for libraries (the descriptors) as for Python."""
    with Path(os.devnull).open("rb") as source, output.open("ab") as target:
        os.dup2(source.fileno(), 0)
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")  # type: ignore[misc]
    for number, name in ((1, "stdout"), (2, "stderr")):
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
