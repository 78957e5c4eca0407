"""Wait for an answer no longer than there is time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def bounded(work: Callable[[], Answer], *, seconds: float | None) -> Answer:
    """Return what `work` returns, or raise what it raises.

    Args:
        work: is called in a thread of its own, which is left behind if it is late; it keeps no process alive.
        seconds: to wait for it; None: as long as it takes.

    Raises:
        TimeoutError: it took longer.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="medexp-bounded", daemon=True).start()
    return future.result(seconds)
