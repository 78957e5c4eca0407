"""The file that a study is written to, one line an operation: sound however a process that writes to it ends."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from optuna.storages.journal import JournalFileBackend

_BLOCK = 1 << 16  # bytes read at a time, from the end, to find where the last whole line ends


class JournalFile(JournalFileBackend):
    """Optuna's journal file with another lock, and with the last line mended.

    Optuna's own locks are files: a process killed inside one leaves it behind, and everybody waits out a grace period
    of 30 seconds. The lock here is the system's, which lets go of it when the process ends. And Optuna appends behind
    whatever is there: half a line of a killed process, or of a full disk, would make the file unreadable for good. It
    is cut off here: what was not written whole was never acknowledged to anybody, nor read by anybody.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append operations, on the disk when this returns.

        Raises:
            OSError: the disk is full, the folder read-only, or the file system has no locks.
        """
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        file = os.open(self._file_path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = _end_of_lines(file)
            if end < os.fstat(file).st_size:
                os.ftruncate(file, end)
            try:
                _write(file, text)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, end)  # all of it or nothing
                raise
        finally:
            os.close(file)


def _end_of_lines(file: int) -> int:
    """The offset behind the last newline."""
    end = os.fstat(file).st_size
    if not end or os.pread(file, 1, end - 1) == b"\n":
        return end
    while end:
        start = max(0, end - _BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _write(file: int, text: bytes) -> None:
    while text:
        text = text[os.write(file, text) :]
