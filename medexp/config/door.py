"""Between Hydra and a script's work: users see sentences, not tracebacks."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode

from medexp.config.completion import expand_completion
from medexp.config.overrides import check_overrides
from medexp.errors import MedexpError

STOPPED = tuple(128 + number for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
_LEAVE_SECONDS = 1.0


@contextmanager
def user_errors() -> Iterator[None]:
    """Let a MedexpError end the program with its text alone (exit status 1), and Ctrl-C with status 130.

    A job of a multirun must not end the program: its text is logged as it happens, and Hydra is told.
    HYDRA_FULL_ERROR=1 shows the traceback.
    """
    try:
        yield
    except MedexpError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
            logging.getLogger("medexp").error("Job %s failed: %s", HydraConfig.get().job.num, error)
            raise CompactHydraException(f"{type(error).__name__}: {error}") from error
        _fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def run(main: Callable[[], Any], conf: Path, name: str, *, expand: Callable[[Sequence[str]], list[str]] = list) -> None:
    """Start a `hydra.main` function, unless the command line names keys or options that do not exist.

    A program that was stopped by a signal does what was registered to be done at its end, and takes nothing apart.

    Args:
        main: the decorated function.
        conf: the folder of the configuration.
        name: of its primary file.
        expand: writes what a user may type as Hydra understands it.
    """
    try:
        sys.argv[1:] = expand(expand_completion(sys.argv[1:]))
        check_overrides(conf, name)
    except MedexpError as error:
        _fail(error)
    try:
        main()
    except SystemExit as ending:
        if ending.code in STOPPED:
            _leave(int(ending.code))
        raise
    except KeyboardInterrupt:  # while Hydra composes, outside `user_errors`
        _leave(128 + signal.SIGINT)


def _leave(code: int) -> NoReturn:
    """End now what a signal has stopped: taking TensorFlow apart takes seconds, and whoever sent the signal waits."""
    limit = threading.Timer(_LEAVE_SECONDS, os._exit, [code])
    limit.daemon = True
    limit.start()
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _fail(error: MedexpError) -> NoReturn:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    raise SystemExit(1) from error
