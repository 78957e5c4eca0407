"""Be asked to stop by a signal, and do so between two steps."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)
GRACE_SECONDS = 6.0  # who sends SIGTERM often kills after 10: the rest is for the journal and the store
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class StopRequest:
    """Whether somebody wants the training to stop: a scheduler (SIGTERM), a closed terminal, Ctrl-C."""

    def __init__(self) -> None:
        self._number: int | None = None

    def ask(self, number: int) -> None:
        """Remember the signal; a second one stops at once, whatever is under way."""
        if self._number is not None:
            self.obey()
        self._number = number

    @property
    def pending(self) -> bool:
        return self._number is not None

    def obey(self) -> None:
        """Stop the program if that was asked for: KeyboardInterrupt for Ctrl-C, else SystemExit(128 + signal)."""
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number is not None:
            raise SystemExit(128 + self._number)


@contextmanager
def stoppable(*, abandon: Callable[[], None], grace: float = GRACE_SECONDS) -> Iterator[StopRequest]:
    """While it lasts, SIGTERM, SIGHUP and Ctrl-C ask, and whoever runs the loop obeys between two steps.

    Python runs a signal's handler between two of its instructions only: while a graph is compiled, or one step takes
    a minute, it has to wait. A thread waits with it; after `grace` seconds it calls `abandon` and ends the process with
    the status that was asked for.

    Does nothing in other threads than the main one, which receive no signals. A signal that is ignored stays so.

    Args:
        abandon: the last thing to do where the loop did not come to its end; called in another thread.
        grace: seconds that the loop has.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        logger.info("stopping after this step (%s)", signal.Signals(number).name)
        request.ask(number)

    read, write = os.pipe()
    os.set_blocking(write, False)
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(read, heeded, done, grace, abandon), daemon=True)
    before = {number: signal.signal(number, ask) for number in heeded}
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield request
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        done.set()
        os.write(write, b"\0")
        watcher.join()
        os.close(read)
        os.close(write)


def _watch(
    read: int, heeded: list[signal.Signals], done: threading.Event, grace: float, abandon: Callable[[], None]
) -> None:
    """Wait for a signal, then for the loop, then no longer."""
    while not done.is_set():
        numbers = [number for number in os.read(read, 1) if number in heeded]
        if numbers and not done.wait(grace):
            try:
                abandon()
            finally:
                os._exit(128 + numbers[0])
