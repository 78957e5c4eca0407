"""One execution: a run in the tracking store, a folder and a log of the same name, closed whatever happens."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medexp.config.find_run import SAVED
from medexp.config.schema import TrainConfig
from medexp.config.schema_scripts import AuditScriptConfig
from medexp.errors import ConfigError, MedexpError, TrainingError
from medexp.logs import FILE_ONLY, run_log
from medexp.tracking.base import Run, Tracker
from medexp.tracking.killable import killable
from medexp.tracking.recording import AFTER_SIGNAL

logger = logging.getLogger(__name__)
LOG = "run.log"


@dataclass(frozen=True)
class Execution:
    """The open run, its folder and its log."""

    run: Run
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / LOG


@contextmanager
def recorded(
    config: TrainConfig | AuditScriptConfig,
    tracker: Tracker,
    *,
    below: str,
    tags: Mapping[str, str],
    parent: str | None = None,
    resume: Path | None = None,
) -> Iterator[Execution]:
    """Open a run and its folder `<paths.outputs>/<below>/<run id>`.

    The run is closed as finished, failed or killed whatever happens. A tracking store that goes away on the way is
    no error: what it misses waits in the folder.

    Args:
        config: says where outputs go and what the console shows.
        tracker: opens the run.
        below: the folder of such runs, in `paths.outputs`.
        tags: of a new run; a resumed one keeps those that it has.
        parent: the id of the sweep.
        resume: the folder of a run to go on with, under its id and in its log, instead of a new one.

    Raises:
        MedexpError: what a user can mend. Anything unexpected becomes a TrainingError that names the log,
            where the traceback is.
    """
    _make(config.paths.outputs)
    if resume is None:
        opening = tracker.start(config.name, below=config.paths.outputs / below, parent=parent, tags=tags)
    else:
        opening = tracker.resume(resume)
    with killable() as ending, opening as run:
        ending.abandon = run.abandon
        folder = run.folder
        with run_log(folder / LOG, run_id=run.id, console_level=config.runtime.console_level):
            patience = None
            try:
                if resume is not None:
                    logger.info("resumed by process %d on %s", os.getpid(), platform.node())
                yield Execution(run, folder)
            except MedexpError as error:
                logger.error("%s: %s", type(error).__name__, error, extra=FILE_ONLY)
                raise
            except Exception as error:
                logger.exception("unexpected", extra=FILE_ONLY)
                from medexp.training.remedy import remedy

                cause = remedy(error, batch_size=config.data.batch_size, outputs=config.paths.outputs)
                raise TrainingError(
                    f"The run stopped unexpectedly. Received: {type(error).__name__}: "
                    f"{str(error).strip().partition(chr(10))[0][:300]}. {cause + ' ' if cause else ''}"
                    f"The traceback is in {folder / LOG}"
                ) from error
            except BaseException as signal:
                logger.error("stopped by %s", type(signal).__name__, extra=FILE_ONLY)
                logger.error("run %s was stopped; its log: %s%s", run.id, folder / LOG, _resumable(config, folder))
                patience = AFTER_SIGNAL
                raise
            finally:
                run.log_files(folder / LOG)
                run.drain(patience=patience)  # while the log is open: it says what could not be sent


def _make(outputs: Path) -> None:
    try:
        outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"paths.outputs: cannot be written ({error.strerror}). Received: {outputs}.") from error


def _resumable(config: TrainConfig | AuditScriptConfig, folder: Path) -> str:
    """The command that goes on with a training."""
    from medexp.evaluation.summary import resume_command

    resumable = isinstance(config, TrainConfig) and (folder / SAVED).is_file()
    return f"; go on with it: {resume_command(folder)}" if resumable else ""
