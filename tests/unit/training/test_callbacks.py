from __future__ import annotations

import keras
import numpy as np
import pytest

from medexp.errors import TrainingError
from medexp.training.callbacks import EpochReport
from medexp.training.course import Course
from medexp.types import Objective

INPUTS, TARGETS = np.eye(4, dtype=np.float32), np.arange(4, dtype=np.float32)[:, np.newaxis]


def model(learning_rate: float = 0.01) -> keras.Model:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return network


def fitted(
    metric: str = "val_loss", monitors: tuple[str, ...] = (), epochs: int = 2, learning_rate: float = 0.01
) -> tuple[Course, list[tuple[int, dict[str, float]]]]:
    """A real training, and what was handed on."""
    handed: list[tuple[int, dict[str, float]]] = []
    course = Course()
    report = EpochReport(
        objective=Objective(metric, "min"),
        monitors=monitors,
        on_epoch=lambda epoch, metrics: handed.append((epoch, dict(metrics))),
        course=course,
    )
    data = (INPUTS, TARGETS)
    model(learning_rate).fit(*data, validation_data=data, epochs=epochs, callbacks=[report], verbose=0)
    return course, handed


def test_epochs_are_handed_on_from_one_with_their_metrics() -> None:
    course, handed = fitted()
    assert [epoch for epoch, _ in handed] == [1, 2]
    assert set(handed[0][1]) == {"loss", "val_loss", "learning_rate", "epoch_seconds"}
    assert course.history == [metrics for _, metrics in handed]
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


def test_the_metrics_of_an_epoch_that_diverged_are_handed_on() -> None:
    handed: list[float] = []
    report = EpochReport(
        objective=Objective("val_loss", "min"),
        monitors=(),
        on_epoch=lambda epoch, metrics: handed.append(metrics["loss"]),
        course=Course(),
    )
    with pytest.raises(TrainingError):
        model(1e6).fit(INPUTS, TARGETS, validation_data=(INPUTS, TARGETS), epochs=100, callbacks=[report], verbose=0)
    assert handed
    assert not np.isfinite(handed[-1])
