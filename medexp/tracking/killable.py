"""Let SIGTERM, or a closed terminal, unwind the program, so that runs are closed on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def killable() -> Iterator[None]:
    """While it lasts, SIGTERM and SIGHUP raise SystemExit(128 + number) in the main thread, like Ctrl-C its own.

    A signal that is ignored stays so: `nohup` has seen to it that SIGHUP is. Does nothing in other threads, which
    receive no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    heeded = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
