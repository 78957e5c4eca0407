from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk

from medexp.training.checkpoint import Checkpoints
from medexp.training.state import Position, TrainingState


def state(epoch: int, step: int = 0) -> TrainingState:
    arrays = {
        "model/0000/kernel": np.random.default_rng(epoch).normal(size=(200, 30)).astype("float32"),
        "model/0001/seed_generator_state": np.array([epoch, 7], "uint32"),
        "optimizer/0000/iteration": np.array(epoch, "int64"),
    }
    return TrainingState(Position(epoch, step), arrays, {"phase": 1, "course": {"best": [[1, 0.1 + epoch]]}})


def same(first: TrainingState, second: TrainingState | None) -> bool:
    return (
        second is not None
        and first.position == second.position
        and first.facts == second.facts
        and first.arrays.keys() == second.arrays.keys()
        and all(
            value.tobytes() == second.arrays[name].tobytes() and value.dtype == second.arrays[name].dtype
            for name, value in first.arrays.items()
        )
    )


def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path: Path) -> None:
    Checkpoints(tmp_path).write(state(3, 17))
    assert same(state(3, 17), Checkpoints(tmp_path).read())


def test_the_last_is_read_and_only_the_last_few_stay(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, keep=3)
    for epoch, step in [(0, 5), (0, 10), (1, 0), (1, 5), (11, 2)]:
        kept.write(state(epoch, step))
    assert same(state(11, 2), kept.read())
    assert [path.name for path in kept.paths()] == [
        "000011-00000002.ckpt", "000001-00000005.ckpt", "000001-00000000.ckpt",
    ]  # fmt: skip


def test_where_there_is_none_nothing_is_read(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "no").read() is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "zeroed end", "something else"])
def test_a_damaged_one_is_passed_over_for_the_one_before(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Checkpoints(tmp_path)
    kept.write(state(1))
    path = kept.write(state(2))
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "emptied":
        data = bytearray()
    elif damage == "zeroed end":
        data[-100:] = bytes(100)
    else:
        data = bytearray(b"not a checkpoint")
    path.write_bytes(data)
    assert same(state(1), kept.read())
    assert f"{path.name} is damaged" in caplog.text


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_one_takes_no_place_from_those_of_a_training_that_goes_on_before_it(
    keep: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for epoch in (1, 2, 3):
        newest = Checkpoints(tmp_path, keep=keep).write(state(epoch))
    newest.write_bytes(newest.read_bytes()[:-200])
    again = Checkpoints(tmp_path, keep=keep)
    assert (again.read() is None) == (keep == 1)
    assert f"set aside as {newest.name}.damaged" in caplog.text
    written = [again.write(state(0, step)) for step in (4, 8)]
    assert written[-1].exists()
    if keep == 1:
        assert again.paths() == written[-1:]
        assert same(state(0, 8), again.read())


def test_what_was_just_written_stays_whatever_was_there(tmp_path: Path) -> None:
    Checkpoints(tmp_path).write(state(7))
    kept = Checkpoints(tmp_path, keep=1)
    path = kept.write(state(1))
    assert kept.paths() == [path]
    assert same(state(1), kept.read())


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_one_wrong_bit_anywhere_is_found_or_without_effect(place: int, tmp_path: Path) -> None:
    path = Checkpoints(tmp_path).write(state(2))
    data = bytearray(path.read_bytes())
    data[len(data) * place // 100] ^= 16
    path.write_bytes(data)
    found = Checkpoints(tmp_path).read()
    assert found is None or same(state(2), found)


WRITE = """
import sys
sys.path[:0] = sys.argv[2:]
from test_checkpoint import Checkpoints, state, Path
kept = Checkpoints(Path(sys.argv[1]))
for epoch in range(100_000):
    kept.write(state(epoch))
    print(epoch, flush=True)
"""


@pytest.mark.parametrize("after", [3, *(pytest.param(kills, marks=pytest.mark.slow) for kills in (1, 8))])
def test_a_writer_that_is_killed_leaves_the_last_whole_one(after: int, tmp_path: Path) -> None:
    folders = [str(Path(__file__).parent), *sys.path]
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), *folders], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(after):
        said = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    found = Checkpoints(tmp_path).read()
    assert found is not None
    assert found.position.epoch >= int(said)
    assert same(state(found.position.epoch), found)


def test_a_disk_without_room_leaves_the_one_before_and_nothing_half_written(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    kept.write(state(1))
    with full_disk(bytes_left=10_000), pytest.raises(OSError, match="File too large"):
        kept.write(state(2))
    assert same(state(1), kept.read())
    assert [path.name for path in tmp_path.iterdir()] == ["000001-00000000.ckpt"]
