"""Be asked to stop by a signal, and do so between two steps."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class StopRequest:
    """Whether somebody wants the training to stop: a scheduler (SIGTERM), a closed terminal, Ctrl-C."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._at_once = False

    def ask(self, number: int) -> None:
        """Remember the signal; a second one stops at once, whatever is under way."""
        if self._number is not None:
            self._at_once = True
            self.obey()
        self._number = number

    @property
    def pending(self) -> bool:
        return self._number is not None

    @property
    def at_once(self) -> bool:
        """Whether a second signal has interrupted what was under way."""
        return self._at_once

    def obey(self) -> None:
        """Stop the program if that was asked for: KeyboardInterrupt for Ctrl-C, else SystemExit(128 + signal)."""
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number is not None:
            raise SystemExit(128 + self._number)


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """While it lasts, SIGTERM, SIGHUP and Ctrl-C ask, and whoever runs the loop obeys between two steps.

    A signal that is ignored stays so. Does nothing in other threads than the main one, which receive no signals. How
    long a step may take then is a matter of `medexp.tracking.killable`.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        request.ask(number)  # first: what handles the line may fail, where the signal came in the middle of another
        logger.info("stopping after this step (%s)", signal.Signals(number).name)

    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heeded}
    try:
        yield request
    except Exception:
        if request.at_once:  # TensorFlow, interrupted while it traces, raises something of its own on the way out
            request.obey()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
