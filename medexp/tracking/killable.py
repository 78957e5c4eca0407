"""Let a SIGTERM unwind the program, so that runs are closed on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def killable() -> Iterator[None]:
    """While it lasts, SIGTERM raises SystemExit(143) in the main thread, as Ctrl-C raises KeyboardInterrupt.

    Does nothing in other threads, which receive no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
