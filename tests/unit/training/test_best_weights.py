from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from full_disk import full_disk

from medexp.errors import TrainingError
from medexp.training.best_weights import BestWeights
from medexp.training.course import Course, Kept
from medexp.training.kept_weights import KeptWeights, weights_file
from medexp.types import Objective

NAN = float("nan")


def network() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def best_of(values: list[float], mode: str, folder: Path, *, keep: int = 1) -> list[Kept]:
    """The epochs kept of a training whose only weight is the number of the epoch."""
    model, course = network(), Course()
    best = BestWeights(model, KeptWeights(folder), objective=Objective("score", mode), course=course, keep=keep)
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch + 1.0), np.zeros(1)])
        best.on_epoch_end(epoch, {"score": value})
    return course.best


def weight_of(kept: Kept, folder: Path) -> float:
    model = network()
    KeptWeights(folder).load(kept, network=model)
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
    assert weight_of(kept, tmp_path) == epoch


def test_several_are_kept_the_best_first(tmp_path: Path) -> None:
    best = best_of([0.1, 0.4, 0.2, 0.3], "max", tmp_path, keep=3)
    assert [kept.epoch for kept in best] == [2, 4, 3]
    assert [weight_of(kept, tmp_path) for kept in best] == [2, 4, 3]


def test_files_of_other_epochs_go_when_they_are_pruned(tmp_path: Path) -> None:
    best = best_of([0.1, 0.2, 0.3], "max", tmp_path)
    assert len(list((tmp_path / "weights").iterdir())) == 3
    KeptWeights(tmp_path).prune(all_but=best)
    assert list((tmp_path / "weights").iterdir()) == [best[0].path(tmp_path)]


def test_without_a_number_there_is_no_best_epoch_and_no_file(tmp_path: Path) -> None:
    assert best_of([NAN, NAN], "max", tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_weights_that_find_no_room_are_written_when_there_is_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, course, weights = network(), Course(), KeptWeights(tmp_path)
    best = BestWeights(model, weights, objective=Objective("score", "max"), course=course, keep=1)
    for epoch, value in enumerate([0.1, 0.4, 0.2]):
        model.set_weights([np.full((1, 1), epoch + 1.0), np.zeros(1)])
        with full_disk(bytes_left=100):
            best.on_epoch_end(epoch, {"score": value})
    assert "File too large" in caplog.text
    assert list((tmp_path / "weights").iterdir()) == []
    model.set_weights([np.full((1, 1), 4.0), np.zeros(1)])
    best.on_epoch_end(3, {"score": 0.3})
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["epoch-0002.npz"]
    assert weight_of(course.best[0], tmp_path) == 2


@pytest.mark.parametrize("harm", ["gone", "damaged", "of another network"])
def test_weights_that_cannot_be_read_are_named(harm: str, tmp_path: Path) -> None:
    (kept,) = best_of([0.1], "max", tmp_path)
    path, model = kept.path(tmp_path), network()
    if harm == "gone":
        path.unlink()
    elif harm == "damaged":
        data = bytearray(path.read_bytes())
        data[data.index(b"\x93NUMPY") + 128] ^= 1  # in the first value
        path.write_bytes(data)
    else:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    with pytest.raises(TrainingError, match=r"weights of epoch 1 cannot be read .*Received: .*epoch-0001\.npz"):
        KeptWeights(tmp_path).load(kept, network=model)


def test_all_weights_of_an_epoch_come_back_bit_for_bit(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)

    def convolutional() -> keras.Model:
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(3, 2), keras.layers.BatchNormalization()])
        model.set_weights([draw.normal(size=w.shape).astype("float32") for w in model.get_weights()])
        return model

    model, other = convolutional(), convolutional()
    kept, weights = Kept(1, 0.5), KeptWeights(tmp_path)
    weights.hold(kept, model)
    before = [w.copy() for w in model.get_weights()]
    model.set_weights([w * 0 for w in before])  # what is held is a copy
    weights.write()
    other.layers[0].trainable = False
    weights.load(kept, network=other)
    assert [w.tobytes() for w in other.get_weights()] == [w.tobytes() for w in before]


def test_the_file_of_a_compiled_network_holds_its_weights_alone() -> None:
    model = network()
    before = weights_file(model)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    assert weights_file(model) == before


def test_the_file_is_the_one_that_keras_would_write(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(3, 2),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
        ]
    )
    model.save_weights(tmp_path / "theirs.weights.h5")
    (tmp_path / "ours.weights.h5").write_bytes(weights_file(model))
    found = []
    for name in ("ours", "theirs"):
        items: dict[str, object] = {}
        with h5py.File(tmp_path / f"{name}.weights.h5") as file:
            file.visititems(
                lambda path, item, items=items: items.update(
                    {path: (dict(item.attrs), np.asarray(item).tobytes() if hasattr(item, "shape") else None)}
                )
            )
        found.append(items)
    assert found[0] == found[1]
    assert len(found[0]) > 6
