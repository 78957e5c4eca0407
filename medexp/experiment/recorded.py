"""One execution: a run in the tracking store, a folder and a log of the same name, closed whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medexp.config.schema import AuditScriptConfig, TrainConfig
from medexp.errors import ConfigError, MedexpError, TrainingError
from medexp.logs import FILE_ONLY, run_log
from medexp.tracking.base import Run, Tracker
from medexp.tracking.killable import killable

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
) -> Iterator[Execution]:
    """Open a run and its folder `<paths.outputs>/<below>/<run id>`.

    The run is closed as finished, failed or killed whatever happens.

    Raises:
        MedexpError: what a user can mend. Anything unexpected becomes a TrainingError that names the log,
            where the traceback is.
    """
    _make(config.paths.outputs)
    with killable(), tracker.start(config.name, parent=parent, tags=tags) as run:
        folder = config.paths.outputs / below / run.id
        folder.mkdir(parents=True)
        with run_log(folder / LOG, run_id=run.id, console_level=config.runtime.console_level):
            try:
                yield Execution(run, folder)
            except MedexpError as error:
                logger.error("%s: %s", type(error).__name__, error, extra=FILE_ONLY)
                raise
            except Exception as error:
                logger.exception("unexpected", extra=FILE_ONLY)
                raise TrainingError(
                    f"The run stopped unexpectedly. Received: {type(error).__name__}: "
                    f"{str(error).strip().partition(chr(10))[0][:300]}. The traceback is in {folder / LOG}"
                ) from error
            except BaseException as signal:
                logger.error("stopped by %s", type(signal).__name__, extra=FILE_ONLY)
                logger.error("run %s was stopped; its log: %s", run.id, folder / LOG)
                raise
            finally:
                _keep(run, folder / LOG)


def _make(outputs: Path) -> None:
    try:
        outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"paths.outputs: cannot be written ({error.strerror}). Received: {outputs}.") from error


def _keep(run: Run, log: Path) -> None:
    """Copy the log to the store, also after a failure: it must not hide what failed."""
    try:
        run.log_files(log)
    except MedexpError as error:
        logger.warning("the log could not be copied to the tracking store: %s", error)
