"""Let SIGTERM, or a closed terminal, unwind the program, so that runs are closed on the way; and in time."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 7.5  # who sends SIGTERM often kills after 10
INSIST_SECONDS = 3.0  # who presses Ctrl-C twice does not wait
LAST_SECONDS = 1.5  # to abandon what is open; a disk or a store may hang


class Ending:
    """How a program ends that is too slow to end by itself."""

    def __init__(self) -> None:
        self.abandon: Callable[[], None] = lambda: None


@contextmanager
def killable(*, grace: float = GRACE_SECONDS) -> Iterator[Ending]:
    """While it lasts, SIGTERM and SIGHUP raise SystemExit(128 + number) in the main thread, like Ctrl-C its own.

    Python runs a signal's handler between two of its instructions only: while a graph is compiled, or one step of a
    training takes a minute, it has to wait. A thread waits with it; `grace` seconds after the signal, or soon after a
    second Ctrl-C, it calls `abandon` of what this yields, and ends the process with the status that was asked for.

    There is one such thread in a process: a context inside another (a job of a sweep) adds what is to be abandoned, and
    the clock runs from the signal to the end of the outermost.

    A signal that is ignored stays so: `nohup` has seen to it that SIGHUP is. Does nothing in other threads than the
    main one, which receive no signals.

    Args:
        grace: seconds from the signal to the end of the outermost context, which alone decides.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    watcher = _Watcher.in_charge()
    if watcher is not None:
        with watcher.including(ending):
            yield ending
        return
    watcher = _Watcher(grace)
    with watcher.watching(), watcher.including(ending):
        yield ending


class _Watcher:
    """Handles the signals, and ends the process where that takes too long."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._endings: list[Ending] = []
        self._done = False
        self._code: int | None = None  # to end with
        self._limit: float | None = None  # until when the program may end by itself
        self._interrupts = 0

    @staticmethod
    def in_charge() -> _Watcher | None:
        """The one of a context around this; the handler that is installed knows it."""
        owners = (getattr(signal.getsignal(number), "__self__", None) for number in SIGNALS)
        return next((owner for owner in owners if isinstance(owner, _Watcher)), None)

    @contextmanager
    def including(self, ending: Ending) -> Iterator[None]:
        self._endings.append(ending)
        try:
            yield
        finally:
            self._endings.remove(ending)

    @contextmanager
    def watching(self) -> Iterator[None]:
        read, write = os.pipe()
        os.set_blocking(write, False)
        heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        thread = threading.Thread(target=self._watch, args=(read, heeded), name="medexp-killable", daemon=True)
        before = {number: signal.signal(number, self._stop) for number in heeded}
        wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._done = True
            os.write(write, b"\0")
            thread.join()
            os.close(read)
            os.close(write)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def _watch(self, read: int, heeded: list[signal.Signals]) -> None:
        """Wait for a signal, then for the program, then no longer."""
        poll = select.poll()
        poll.register(read, select.POLLIN)
        while not self._done:
            rest = None if self._limit is None else max(self._limit - time.monotonic(), 0.0)
            if poll.poll(None if rest is None else rest * 1000):
                for number in os.read(read, 64):
                    self._note(number, heeded)
            elif self._code is not None:
                self._end(self._code)

    def _note(self, number: int, heeded: list[signal.Signals]) -> None:
        self._interrupts += number == signal.SIGINT
        if number in heeded:
            patience = self._grace
        elif number == signal.SIGINT and self._interrupts > 1:
            patience = INSIST_SECONDS
        else:
            return
        limit = time.monotonic() + patience
        self._limit = limit if self._limit is None else min(limit, self._limit)
        self._code = self._code or 128 + number

    def _end(self, code: int) -> NoReturn:
        """Abandon all that is open, each in a thread: what hangs keeps neither the others nor the process alive."""
        try:
            limit = time.monotonic() + LAST_SECONDS
            threads = [threading.Thread(target=_abandon, args=(e,), daemon=True) for e in list(self._endings)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(max(limit - time.monotonic(), 0.0))
        finally:
            os._exit(code)


def _abandon(ending: Ending) -> None:
    with suppress(Exception):
        ending.abandon()
