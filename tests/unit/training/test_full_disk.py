"""A disk that is full for a while, weights that are not numbers: what is lost, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk
from small_training import At, fit, history, interrupt, one_phase, weights
from support import ROOT

from medexp.errors import TrainingError
from medexp.training.checkpoint import Checkpoints
from medexp.training.state import is_finite


def names(folder: Path) -> list[str]:
    return [path.name for path in Checkpoints(folder / "checkpoints").paths()]


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_while_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    never = At("never", 0, interrupt)
    whole = fit(tmp_path / "whole", one_phase(4, never, never, never), checkpoint_every="2 steps")
    stack, seen = ExitStack(), []

    def look() -> None:
        seen.append((names(tmp_path / "parts"), [path.name for path in (tmp_path / "parts" / "weights").iterdir()]))

    def empty() -> None:
        look()
        stack.close()

    phases = one_phase(
        4,
        At("epoch begin", 1, lambda: stack.enter_context(full_disk(bytes_left=1000))),
        At("epoch begin", 3, empty),
        At("step", 3, look, batch=3),
    )
    with stack:
        parts = fit(tmp_path / "parts", phases, checkpoint_every="2 steps")
    assert "the training goes on, and tries again. The last one is 000001-00000000.ckpt" in caplog.text
    assert "they stay in memory" in caplog.text
    assert seen[0] == (["000001-00000000.ckpt", "000000-00000004.ckpt"], ["epoch-0001.npz"])
    assert seen[1][0] == ["000003-00000002.ckpt", "000001-00000000.ckpt"]
    assert len(seen[1][1]) == 2
    assert history(parts) == history(whole)
    assert parts.best_epoch == whole.best_epoch > 1
    assert weights(parts) == weights(whole)


def test_one_that_is_full_to_the_end_stops_with_what_to_do_and_loses_nothing(tmp_path: Path) -> None:
    never = At("never", 0, interrupt)
    whole = fit(tmp_path / "whole", one_phase(3, never))
    stack = ExitStack()
    full = At("epoch begin", 2, lambda: stack.enter_context(full_disk(bytes_left=1000)))
    with stack, pytest.raises(TrainingError, match=r"cannot be written.*Make room.*scripts/train\.py resume=parts"):
        fit(tmp_path / "parts", one_phase(3, full))
    parts = fit(tmp_path / "parts", one_phase(3, never), resume=True)
    assert history(parts) == history(whole)
    assert weights(parts) == weights(whole)


FULL = """
import sys
from pathlib import Path
from small_training import At, fit, one_phase
from full_disk import full_disk
from medexp.errors import TrainingError
limit = full_disk(bytes_left=1000)
try:
    fit(Path(sys.argv[1]), one_phase(2, At("epoch begin", 1, limit.__enter__)))
except TrainingError as error:
    sys.exit(str(error))
"""


@pytest.mark.slow
def test_the_process_ends_as_python_ends_it(tmp_path: Path) -> None:
    """HDF5 that could not write a file crashed it at its exit."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Make room" in done.stderr


@pytest.mark.parametrize("batch", [1, 5], ids=["before a checkpoint", "before validation"])
def test_weights_that_are_no_numbers_leave_the_last_good_checkpoint(batch: int, tmp_path: Path) -> None:
    def spoil() -> None:
        variable = spoiler.model.trainable_variables[0]
        variable.assign(np.full(variable.shape, np.nan, "float32"))

    spoiler = At("step", 1, spoil, batch=batch)
    with pytest.raises(TrainingError, match=r"not (a number|numbers) any more"):
        fit(tmp_path, one_phase(3, spoiler), checkpoint_every="3 steps")
    assert names(tmp_path)[0] == ("000001-00000000.ckpt" if batch == 1 else "000001-00000003.ckpt")
    state = Checkpoints(tmp_path / "checkpoints").read()
    assert state is not None
    assert is_finite(state.arrays)
