"""States of a training on disk: whole or not there, whatever is killed when."""

from __future__ import annotations

import json
import logging
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from medexp.training.state import Position, TrainingState

logger = logging.getLogger(__name__)
FOLDER = "checkpoints"
_FACTS = "facts"
_SUFFIX = ".ckpt"


class Checkpoints:
    """The last few states of one training, one file each.

    A file is a NumPy archive (zip, a checksum for each member). It is written under another name, synced to the disk
    and renamed, so that a name stands for a whole file.

    Args:
        folder: of the checkpoints.
        keep: how many stay.
    """

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        self._folder = folder
        self.keep = keep

    def write(self, state: TrainingState) -> Path:
        """Write a state, then remove all but the last `keep`.

        Raises:
            OSError: the disk is full, or not writable; the states before it stay, and nothing half-written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{state.position.epoch:06d}-{state.position.step:08d}{_SUFFIX}"
        new = path.with_suffix(".new")
        facts = {"epoch": state.position.epoch, "step": state.position.step, **state.facts}
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        try:
            with new.open("wb") as file:
                np.savez(file, allow_pickle=False, **{**state.arrays, _FACTS: text})
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _sync(self._folder)
        for old in self.paths()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def read(self) -> TrainingState | None:
        """Return the last state that is whole; None where there is none. Damaged ones are said, and passed over."""
        for path in self.paths():
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
                logger.warning("checkpoint %s is damaged (%s); the one before it is taken", path.name, error)
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


def _sync(folder: Path) -> None:
    """Make a rename last: the entry of a folder is written on its own."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
