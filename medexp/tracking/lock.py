"""One process at a time works on a run."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medexp.errors import TrackingError

LOCK = "run.lock"


class LiveError(TrackingError):
    """Another process works on the run."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in `folder`. The system lets go of it when the process ends, however it ends.

    The file stays and names the process that held it last: it is the lock on it that counts.

    Raises:
        LiveError: says which process holds it.
    """
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LiveError(
                f"The run is being worked on by {_holder(file)}. Received: {folder}. Wait until it has ended, or end it"
            ) from None
        except OSError as error:
            raise TrackingError(
                f"The run cannot be locked ({error.strerror}). Received: {folder / LOCK}. "
                "Use a file system that has locks: paths.outputs=..."
            ) from error
        text = json.dumps({"host": platform.node(), "pid": os.getpid()}).encode() + b"\n"
        os.ftruncate(file, 0)
        os.pwrite(file, text, 0)
        yield
    finally:
        os.close(file)


def _holder(file: int) -> str:
    try:
        who = json.loads(os.pread(file, 1000, 0))
        return f"process {who['pid']} on {who['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
