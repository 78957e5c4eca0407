from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.errors import TrainingError
from medexp.training.callbacks import EpochReport
from medexp.training.trainer import BestWeights
from medexp.types import Objective

INPUTS, TARGETS = np.eye(4, dtype=np.float32), np.arange(4, dtype=np.float32)[:, np.newaxis]


def model(learning_rate: float = 0.01) -> keras.Model:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return network


def fitted(
    metric: str = "val_loss", monitors: tuple[str, ...] = (), epochs: int = 2, learning_rate: float = 0.01
) -> tuple[EpochReport, list[tuple[int, dict[str, float]]]]:
    """A real training, and what was handed on."""
    handed: list[tuple[int, dict[str, float]]] = []
    report = EpochReport(
        epochs=epochs,
        objective=Objective(metric, "min"),
        monitors=monitors,
        on_epoch=lambda epoch, metrics: handed.append((epoch, dict(metrics))),
    )
    data = (INPUTS, TARGETS)
    model(learning_rate).fit(*data, validation_data=data, epochs=epochs, callbacks=[report], verbose=0)
    return report, handed


def test_epochs_are_handed_on_from_one_with_their_metrics() -> None:
    report, handed = fitted()
    assert [epoch for epoch, _ in handed] == [1, 2]
    assert set(handed[0][1]) == {"loss", "val_loss", "learning_rate", "epoch_seconds"}
    assert report.history == [metrics for _, metrics in handed]
    assert handed[0][1]["learning_rate"] == pytest.approx(0.01)


def test_an_unknown_objective_stops_the_training_after_the_first_epoch() -> None:
    with pytest.raises(TrainingError, match=r"objective\.metric: Unknown metric.*'val_los'.*Did you mean 'val_loss'\?"):
        fitted("val_los")


def test_an_unknown_monitor_stops_the_training_with_what_there_is() -> None:
    with pytest.raises(TrainingError, match=r"callbacks: monitor: Unknown metric.*'val_auc'.*loss, val_loss"):
        fitted(monitors=("val_loss", "val_auc"))


def test_a_loss_that_is_not_a_number_stops_the_training_in_its_epoch() -> None:
    with pytest.raises(TrainingError, match=r"loss=(nan|inf) in epoch \d+\. Try a smaller optimizer\.learning_rate"):
        fitted(epochs=100, learning_rate=1e6)


def test_each_epoch_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="medexp"):
        report, _ = fitted(epochs=2)
    assert [record.getMessage().split("  ")[0] for record in caplog.records] == ["epoch 1/2", "epoch 2/2"]
    assert f"val_loss {report.history[1]['val_loss']:.4f}" in caplog.records[1].getMessage()


def best_of(values: list[float], mode: str, folder: Path) -> tuple[int | None, float | None]:
    """The epoch kept, and a weight that tells from which epoch the file is."""
    network = model()
    best = BestWeights(network, folder / "best.weights.h5", Objective("score", mode))
    for epoch, value in enumerate(values):
        network.set_weights([np.full((4, 1), epoch + 1.0), np.zeros(1)])
        best.on_epoch_end(epoch, {"score": value})
    if best.epoch is None:
        return None, None
    network.load_weights(best.path)
    return best.epoch, float(network.get_weights()[0][0, 0])


NAN = float("nan")


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
    assert best_of(values, mode, tmp_path) == (epoch, float(epoch))


def test_without_a_number_there_is_no_best_epoch_and_no_file(tmp_path: Path) -> None:
    assert best_of([NAN, NAN], "max", tmp_path) == (None, None)
    assert list(tmp_path.iterdir()) == []
