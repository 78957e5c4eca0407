"""Ctrl-C once to finish, twice to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.once = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT. Nothing is said here: the handler may run in the middle of a line that is written."""
        if self.once:
            raise KeyboardInterrupt
        self.once = True


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """While it lasts, the first Ctrl-C is noted, and only the second raises KeyboardInterrupt.

    A SIGINT that is ignored stays so, and other threads than the main one receive none.
    """
    noted = Interrupts()
    heeds = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    if not heeds:
        yield noted
        return
    before = signal.signal(signal.SIGINT, noted.note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
