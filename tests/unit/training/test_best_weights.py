from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.errors import TrainingError
from medexp.training.best_weights import BestWeights, prune
from medexp.training.course import Course, Kept
from medexp.types import Objective

NAN = float("nan")


def network() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def best_of(values: list[float], mode: str, folder: Path, *, keep: int = 1) -> list[Kept]:
    """The epochs kept of a training whose only weight is the number of the epoch."""
    model, course = network(), Course()
    best = BestWeights(model, folder, objective=Objective("score", mode), course=course, keep=keep)
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch + 1.0), np.zeros(1)])
        best.on_epoch_end(epoch, {"score": value})
    return course.best


def weight_in(path: Path) -> float:
    model = network()
    model.load_weights(path)
    return float(model.get_weights()[0][0, 0])


@pytest.mark.parametrize(
    ("values", "mode", "epoch"),
    [
        ([0.1, 0.3, 0.2], "max", 2),
        ([0.1, 0.3, 0.2], "min", 1),
        ([0.5, 0.7, 0.7, 0.7], "max", 2),
        ([0.5, 0.5], "min", 1),
        ([NAN, 0.2, 0.1], "max", 2),
        ([0.2, NAN, 0.1], "min", 3),
        ([0.2, NAN, 0.1], "max", 1),
        ([-3.0, -2.0], "max", 2),
    ],
)
def test_the_weights_of_the_best_epoch_are_kept(values: list[float], mode: str, epoch: int, tmp_path: Path) -> None:
    (kept,) = best_of(values, mode, tmp_path)
    assert kept == Kept(epoch, values[epoch - 1])
    assert weight_in(kept.path(tmp_path)) == epoch


def test_several_are_kept_the_best_first(tmp_path: Path) -> None:
    best = best_of([0.1, 0.4, 0.2, 0.3], "max", tmp_path, keep=3)
    assert [kept.epoch for kept in best] == [2, 4, 3]
    assert [weight_in(kept.path(tmp_path)) for kept in best] == [2, 4, 3]


def test_files_of_other_epochs_go_when_they_are_pruned(tmp_path: Path) -> None:
    best = best_of([0.1, 0.2, 0.3], "max", tmp_path)
    assert len(list((tmp_path / "weights").iterdir())) == 3
    prune(tmp_path, set(best))
    assert list((tmp_path / "weights").iterdir()) == [best[0].path(tmp_path)]


def test_without_a_number_there_is_no_best_epoch_and_no_file(tmp_path: Path) -> None:
    assert best_of([NAN, NAN], "max", tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_weights_that_cannot_be_written_stop_the_training_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("in the way")
    with pytest.raises((TrainingError, FileExistsError)) as caught:
        best_of([0.1], "max", tmp_path)
    assert isinstance(caught.value, TrainingError)
    assert f"resume={tmp_path.name}" in str(caught.value)
