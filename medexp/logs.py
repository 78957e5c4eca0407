"""One log file per execution, one console, whatever was configured before."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONSOLE = "medexp-console"


@contextmanager
def run_log(path: Path, *, run_id: str, console_level: str = "INFO") -> Iterator[None]:
    """While it lasts, write every record of every module, and Python's warnings, to the file `path`.

    Each line carries the run id. The console shows medexp's own records from `console_level` on, and others'
    from WARNING on; it has one handler however many executions there are in a process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    level = root.level
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {run_id} %(name)s: %(message)s"))
    file.setLevel(logging.INFO)
    root.addHandler(file)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    show_on_console(console_level)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(file)
        root.setLevel(level)
        file.close()


def show_on_console(level: str) -> None:
    """Show medexp's records from `level` on and others' from WARNING on, on standard error; repeating it is harmless."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.get_name() == CONSOLE]:
        root.removeHandler(handler)
    console = logging.StreamHandler(sys.stderr)
    console.set_name(CONSOLE)
    console.setFormatter(logging.Formatter("%(message)s"))
    wanted = logging.getLevelName(level)
    console.addFilter(lambda r: r.levelno >= (wanted if r.name.partition(".")[0] == "medexp" else logging.WARNING))
    root.addHandler(console)
