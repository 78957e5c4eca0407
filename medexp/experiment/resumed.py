"""What a resumed run must share with its beginning, and what is recorded where it does not."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.config.saved import RESULT
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, DataError
from medexp.experiment.attempt import was_pruned
from medexp.experiment.differences import (
    code_differences,
    machine_differences,
    package_differences,
    split_changes,
)
from medexp.experiment.record import CONFIG, ENVIRONMENT, no_code, record
from medexp.tracking.base import Run
from medexp.tracking.environment import environment
from medexp.tracking.journal import last_status
from medexp.training.whole_file import write_whole

if TYPE_CHECKING:
    from medexp.data.module import DataModule

logger = logging.getLogger(__name__)
_PARTS = (
    "git_commit", "git_branch", "git_dirty", "git_changes", "git_digest", "lock", "versions", "packages", "host",
    "machine", "command",
)  # fmt: skip


def refuse_finished(folder: Path) -> None:
    """Raise a ConfigError where the run in `folder` is finished: its journal says so, its result alone does not."""
    if was_pruned(folder):
        raise ConfigError(
            f"resume: the run was pruned, other trials of its study were better. Received: resume={folder.name}. "
            f"Its configuration is in {folder / CONFIG}; train it to its end as a new run"
        )
    if last_status(folder) == "FINISHED":
        raise ConfigError(
            f"resume: the run is finished, its result is in {folder / RESULT}. Received: resume={folder.name}. "
            f"To train it again and compare: python scripts/reproduce.py {folder.name}. For another run, leave "
            "resume= away."
        )


def record_resume(config: TrainConfig, run: Run, folder: Path) -> None:
    """Add where the run goes on to its `environment.json`, and warn where that is not as it was.

    A run that was killed while it recorded how it began has trained nothing: it begins here.

    Other code or another machine is no error, it may be all there is after a failure; but the run is then not what
    an uninterrupted one would have been, bit for bit, and `scripts/reproduce.py` says so.
    """
    path = folder / ENVIRONMENT
    try:
        then: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        record(config, run, folder)
        return
    now = environment(config.paths.root, ignore=no_code(config))
    for difference in (
        *code_differences(then, now, folder),
        *package_differences(then, now),
        *machine_differences(then, now),
    ):
        logger.warning("resumed with other %s: %s", difference.kind, difference.text)
    then["resumed"] = [*then.get("resumed", []), {key: now[key] for key in _PARTS}]
    write_whole(path, lambda file: file.write((json.dumps(then, indent=2) + "\n").encode()))
    run.log_files(path)


def refuse_other_data(data: DataModule, split_file: Path) -> None:
    """Raise a DataError where images, labels or splits are not those that the run began with.

    Args:
        data: set up.
        split_file: the `split.csv` of the run; where there is none yet, nothing is compared.
    """
    with tempfile.TemporaryDirectory() as scratch:
        now = Path(scratch) / split_file.name
        data.write_split(now)
        changes = split_changes(split_file, now)
    if changes:
        raise DataError(
            f"The run cannot go on: its data is no longer what it began with. Received: {'; '.join(changes)}. "
            "Bring it back as it was, or say where it is: data.root=..., data.manifest=... For a run on the data as "
            "it is now, leave resume= away"
        )
