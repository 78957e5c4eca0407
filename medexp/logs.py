"""One log file per execution, one console, whatever was configured before."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medexp.redact import redact

CONSOLE = "medexp-console"
FILE = "medexp-file"
FILE_ONLY = {"file_only": True}
_OURS = ("medexp", "hydra_plugins.medexp_sweeper")


class _WithoutPasswords(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _OnStandardError(logging.Handler):
    """Writes to what standard error is at the moment: a progress bar stands in for it, to stay below what is said."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


@contextmanager
def run_log(path: Path, *, run_id: str, console_level: str = "INFO") -> Iterator[None]:
    """While it lasts, write every record of every module, and Python's warnings, to the file `path`.

    Each line carries the run id. The console shows medexp's own records from `console_level` on, and others'
    from ERROR on; it has one handler however many executions there are in a process. A record with
    `extra=FILE_ONLY` stays off it. Logs may nest: a sweep's receives what its jobs say, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    level = root.level
    outermost = not any(handler.get_name() == FILE for handler in root.handlers)
    file = logging.FileHandler(path, encoding="utf-8")
    file.set_name(FILE)
    file.setFormatter(_WithoutPasswords(f"%(asctime)s %(levelname)s {run_id} %(name)s: %(message)s"))
    file.setLevel(logging.INFO)
    root.addHandler(file)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    show_on_console(console_level)
    try:
        yield
    finally:
        if outermost:
            logging.captureWarnings(False)
        root.removeHandler(file)
        root.setLevel(level)
        file.close()


def show_on_console(level: str) -> None:
    """Show medexp's records from `level` on and others' from ERROR on, on standard error; repeating is harmless."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.get_name() == CONSOLE]:
        root.removeHandler(handler)
    console = _OnStandardError()
    console.set_name(CONSOLE)
    console.setFormatter(_WithoutPasswords("%(message)s"))  # what a job prints stays in a file, too
    wanted = logging.getLevelName(level)
    console.addFilter(
        lambda record: (
            not getattr(record, "file_only", False)
            and record.levelno >= (wanted if record.name.startswith(_OURS) else logging.ERROR)
        )
    )
    root.addHandler(console)


def shown_on_console(name: str, level: int) -> bool:
    """Whether the console shows a record of the logger `name` at `level`; False where there is none."""
    record = logging.LogRecord(name, level, "", 0, "", (), None)
    handlers = logging.getLogger().handlers
    return any(handler.get_name() == CONSOLE and bool(handler.filter(record)) for handler in handlers)


@contextmanager
def native_stderr_to(path: Path) -> Iterator[None]:
    """Append what is written to file descriptor 2 to the file `path`: native libraries know no logging."""
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
