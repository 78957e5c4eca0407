"""Let SIGTERM, or a closed terminal, unwind the program, so that runs are closed on the way; and in time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 8.0  # who sends SIGTERM often kills after 10


class Ending:
    """How a program ends that is too slow to end by itself."""

    def __init__(self) -> None:
        self.abandon: Callable[[], None] = lambda: None


@contextmanager
def killable(*, grace: float = GRACE_SECONDS) -> Iterator[Ending]:
    """While it lasts, SIGTERM and SIGHUP raise SystemExit(128 + number) in the main thread, like Ctrl-C its own.

    Python runs a signal's handler between two of its instructions only: while a graph is compiled, or one step of a
    training takes a minute, it has to wait. A thread waits with it; `grace` seconds after the signal it calls `abandon`
    of what this yields, and ends the process with the status that was asked for.

    A signal that is ignored stays so: `nohup` has seen to it that SIGHUP is. Does nothing in other threads than the
    main one, which receive no signals.

    Args:
        grace: seconds from the signal to the end of the context.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    read, write = os.pipe()
    os.set_blocking(write, False)
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(read, heeded, done, grace, ending), daemon=True)
    before = {number: signal.signal(number, stop) for number in heeded}
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield ending
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        done.set()
        os.write(write, b"\0")
        watcher.join()
        os.close(read)
        os.close(write)


def _watch(read: int, heeded: list[signal.Signals], done: threading.Event, grace: float, ending: Ending) -> None:
    """Wait for a signal, then for the program, then no longer."""
    while not done.is_set():
        numbers = [number for number in os.read(read, 1) if number in heeded]
        if numbers and not done.wait(grace):
            try:
                ending.abandon()
            finally:
                os._exit(128 + numbers[0])
