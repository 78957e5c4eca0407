"""States of a training on disk: whole or not there, whatever is killed when."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from medexp.training.state import Position, TrainingState
from medexp.training.whole_file import write_whole

logger = logging.getLogger(__name__)
FOLDER = "checkpoints"
_FACTS = "facts"
_SUFFIX = ".ckpt"


class Checkpoints:
    """The last few states of one training, one file each.

    A file is a NumPy archive (zip, a checksum for each member), written by `write_whole`. One that is damaged
    nevertheless is set aside as `*.damaged` when it is read: it takes no place among the last few.

    Args:
        folder: of the checkpoints.
        keep: how many stay.
    """

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        self._folder = folder
        self.keep = keep

    def write(self, state: TrainingState) -> Path:
        """Write a state, then remove all but the last `keep`, this one among them.

        Raises:
            OSError: the disk is full, or not writable; the states before it stay, and nothing half-written.
        """
        path = self._folder / f"{state.position.epoch:06d}-{state.position.step:08d}{_SUFFIX}"
        facts = {"epoch": state.position.epoch, "step": state.position.step, **state.facts}
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        write_whole(path, lambda file: np.savez(file, allow_pickle=False, **{**state.arrays, _FACTS: text}))
        others = [other for other in self.paths() if other != path]
        for old in others[self.keep - 1 :]:
            old.unlink(missing_ok=True)
        return path

    def read(self) -> TrainingState | None:
        """Return the last state that is whole; None where there is none. Damaged ones are said, and set aside."""
        for path in self.paths():
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
                aside = path.with_name(f"{path.name}.damaged")
                with suppress(OSError):  # on a disk that cannot be written it is passed over all the same
                    path.replace(aside)
                logger.warning(
                    "checkpoint %s is damaged (%s); it is set aside as %s, and the one before it is taken",
                    path.name, error, aside.name,
                )  # fmt: skip
        return None

    def paths(self) -> list[Path]:
        """The files, the newest first."""
        return sorted(self._folder.glob(f"*{_SUFFIX}"), reverse=True)


def _read(path: Path) -> TrainingState:
    with zipfile.ZipFile(path) as archive:  # NumPy alone would read on past a wrong checksum at a member's end
        if damaged := archive.testzip():
            raise ValueError(f"wrong checksum of {damaged}")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    facts: dict[str, Any] = json.loads(arrays.pop(_FACTS).tobytes())
    return TrainingState(Position(facts.pop("epoch"), facts.pop("step")), arrays, facts)
