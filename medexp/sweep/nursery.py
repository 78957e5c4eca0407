"""Processes that are there at once: each trial its own, forked from one that has imported the frameworks before."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from medexp.errors import MedexpError
from medexp.sweep.fresh import adopt_orphans, forget_parent, start_afresh
from medexp.sweep.killed import STOPPED
from medexp.sweep.wire import Birth, Born, Close, Failed, Gone, Message, NurseryLost, NurseryUp, Started, Unborn, Wire

Job = Callable[[int, tuple[str, ...]], object]
MOST_DEATHS = 3  # of nurseries in a row that have not made a single process
_LONGEST_REASON = 4000  # characters
_LEAVE_SECONDS = 2.0


class Nursery:
    """Two processes beside this one: the nursery, which makes a process for each trial, and its keeper.

    The nursery calls `warm` once (seconds), and forks from then on (a few milliseconds). Its trials are nobody's
    children: the keeper, their nearest ancestor that cares, adopts them, waits for their ends, and makes a new nursery
    when somebody kills it. Both hold no result and no file, ignore Ctrl-C, and end by themselves when this process is
    gone and the last trial over: trials outlive whoever asked for them.

    Make it while this process has one thread only, before it opens files or stores: a fork copies locks as they are.
    It needs Linux.

    Args:
        job: is called in the process of a trial, with its number and its command line. It fails by raising.
        warm: imports what jobs need, and starts no thread. What it raises is ignored: jobs meet it again.
    """

    def __init__(self, job: Job, *, warm: Callable[[], object]) -> None:
        self._wire, other = Wire.pair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._wire.close()
                _keep(other, job, warm)
            finally:
                os._exit(1)
        other.close()
        self._ended = False
        self._nursery: int | None = None

    @property
    def kept(self) -> bool:
        """Whether the keeper is still there."""
        if not self._ended:
            self._ended = os.waitpid(self._pid, os.WNOHANG)[0] != 0
        return not self._ended

    def bear(self, birth: Birth) -> None:
        """Ask for the process of a trial; what becomes of it is heard by `hear`."""
        self._wire.send(birth)

    def hear(self, seconds: float) -> Message | None:
        """Wait for news so long; None when there are none.

        Raises:
            EOFError: nobody is there any more to tell some.
        """
        message = self._wire.receive(seconds)
        if isinstance(message, NurseryUp):
            self._nursery = message.pid
        return message

    def close(self, *, seconds: float = _LEAVE_SECONDS) -> None:
        """Make no further process; wait at most so long for both to end, as they do at once unless a trial runs."""
        with suppress(EOFError):
            while self.hear(0.0) is not None:
                pass
        self._wire.send(Close())
        self._wire.close()
        if self._nursery is not None:  # it may be in the middle of importing
            with suppress(ProcessLookupError):
                os.kill(self._nursery, signal.SIGKILL)
        limit = time.monotonic() + seconds
        while self.kept and time.monotonic() < limit:
            time.sleep(0.005)


def _keep(wire: Wire, job: Job, warm: Callable[[], object]) -> NoReturn:
    """Be the keeper: wait for whatever ends."""
    forget_parent("medexp-keeper")
    adopt_orphans()
    deaths = 0
    nursery: int | None = _new_nursery(wire, job, warm)
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            os._exit(0)
        if pid != nursery:
            deaths = 0
            wire.send(Gone(pid, status))
        elif status == 0 or wire.deserted:
            nursery = None
        else:
            deaths += 1
            given_up = deaths == MOST_DEATHS
            wire.send(NurseryLost(status, given_up=given_up))
            nursery = None if given_up else _new_nursery(wire, job, warm)


def _new_nursery(wire: Wire, job: Job, warm: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        wire.send(NurseryUp(pid))
        return pid
    try:
        _nurse(wire, job, warm)
    finally:
        os._exit(1)


def _nurse(wire: Wire, job: Job, warm: Callable[[], object]) -> NoReturn:
    """Be the nursery: make processes until nobody asks for more."""
    with suppress(Exception):
        warm()
    gc.collect()
    gc.freeze()  # what was imported is no garbage: a trial that looked for some would copy all of its pages
    while True:
        try:
            message = wire.receive()
        except EOFError:
            os._exit(0)
        if isinstance(message, Close):
            os._exit(0)
        if isinstance(message, Birth):
            _bear(wire, job, message)


def _bear(wire: Wire, job: Job, birth: Birth) -> None:
    """Fork twice: the one between ends at once, and leaves the trial to the keeper."""
    try:
        between = os.fork()
    except OSError as error:
        wire.send(Unborn(birth.number, str(error)))
        return
    if between == 0:
        try:
            process = multiprocessing.get_context("fork").Process(target=_live, args=(wire, job, birth), name="trial")
            process.start()
            assert process.pid is not None
            wire.send(Born(birth.number, process.pid))
            os._exit(0)
        except OSError as error:
            wire.send(Unborn(birth.number, str(error)))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(between, 0)
    if status != 0:
        wire.send(Unborn(birth.number, f"its process was lost ({status})"))


def _live(wire: Wire, job: Job, birth: Birth) -> None:
    """Be the trial. What is raised here becomes the exit status."""
    try:
        start_afresh(f"trial-{birth.number}", log=birth.log, cores=birth.cores, environment=birth.environment)
        wire.send(Started(birth.number, os.getpid()))
        job(birth.number, birth.overrides)
    except (KeyboardInterrupt, SystemExit) as ending:
        code = 128 + signal.SIGINT if isinstance(ending, KeyboardInterrupt) else ending.code
        if code in STOPPED:  # who has sent the signal waits
            limit = threading.Timer(_LEAVE_SECONDS, os._exit, [code])
            limit.daemon = True
            limit.start()
        raise SystemExit(code) from None
    except Exception as error:
        known = error if isinstance(error, MedexpError) else error.__cause__
        text = f"{type(error).__name__}: {error}" if not isinstance(known, MedexpError) else str(known)
        wire.send(Failed(birth.number, text[:_LONGEST_REASON]))
        if not isinstance(known, MedexpError):
            raise
        print(f"{type(known).__name__}: {known}", file=sys.stderr)  # noqa: T201  the log of the trial
        raise SystemExit(1) from None
    finally:
        wire.close()
        atexit._run_exitfuncs()
