"""What an exit status says of a process's end."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

STOPPED = tuple(128 + number for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
_CRASHES = {
    signal.SIGSEGV: "a native library crashed; the log may name it",
    signal.SIGABRT: "a native library gave up; the log may say why",
    signal.SIGILL: "a native library uses instructions that this processor does not have",
    signal.SIGBUS: "a file that it had mapped was cut or cannot be read, or /dev/shm is full",
    signal.SIGXCPU: "a limit on its processor time is reached (ulimit -t)",
}
_LESS = "Override: search.n_jobs=1, or a smaller data.batch_size or data.input.height"


def was_killed(status: int) -> bool:
    """Whether the status that `os.wait` gave is one of a signal: the process did not fail by itself."""
    code = os.waitstatus_to_exitcode(status)
    return code < 0 or code in STOPPED


def why_ended(status: int, *, out_of_memory: bool) -> str | None:
    """Say how a process ended, from the status that `os.wait` gave; None for one that went well.

    Args:
        status: of the process.
        out_of_memory: the kernel has killed a process for want of memory meanwhile.
    """
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return None
    if code in STOPPED:
        return f"stopped by {signal.Signals(code - 128).name}"
    if code > 0:
        return f"ended with exit status {code}"
    number = -code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "of no name"
    text = f"killed by signal {number} ({name})"
    if number == signal.SIGKILL and out_of_memory:
        return f"{text}: the memory of the computer or its container was used up. {_LESS}"
    if number == signal.SIGKILL:
        return f"{text}: by a person, a scheduler, or for want of memory? For less: {_LESS}"
    return f"{text}: {_CRASHES[signal.Signals(number)]}" if number in _CRASHES else text


def memory_kills() -> int:
    """How many processes the kernel has killed for want of memory, as far as it lets this one know.

    It counts those of the whole computer, and of the containers around this process (version 1 and 2 of control
    groups); one may be counted several times.
    """
    return sum(_count(path) for path in (Path("/proc/vmstat"), *_control_groups()))


def _control_groups() -> list[Path]:
    files: list[Path] = []
    root = Path("/sys/fs/cgroup")
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, inside = line.split(":", 2)
            if not controllers:
                files.append(root / inside.lstrip("/") / "memory.events")
            elif "memory" in controllers.split(","):
                folder = root / "memory"
                files += [part / "memory.oom_control" for part in (folder / inside.lstrip("/"), folder)]
    return files


def _count(path: Path) -> int:
    with suppress(OSError):
        found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0
