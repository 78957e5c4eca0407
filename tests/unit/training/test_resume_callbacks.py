"""A training that is interrupted goes on with callbacks that decide as if nothing had been."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_training import At, Interrupted, fit, history, interrupt, one_phase, weights

from medexp.training.checkpoint import Checkpoints
from medexp.training.duration import Duration
from medexp.training.phase import Phase


def test_keras_own_decide_as_if_nothing_had_been(tmp_path: Path) -> None:
    """No epoch is better by 1: `min_delta` must not change its sign once more."""
    watched = {"monitor": "val_loss", "mode": "min"}

    def callbacks(folder: Path) -> list[keras.callbacks.Callback]:
        return [
            keras.callbacks.EarlyStopping(**watched, min_delta=1.0, patience=4),
            keras.callbacks.ReduceLROnPlateau(**watched, min_delta=1.0, patience=2, factor=0.5),
            keras.callbacks.ModelCheckpoint(str(folder / "{epoch}.weights.h5"), **watched, save_best_only=True,
                                            save_weights_only=True),
        ]  # fmt: skip

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    alone = callbacks(tmp_path / "a")
    whole = fit(tmp_path / "whole", one_phase(8, *alone, At("never", 0, interrupt)))
    with pytest.raises(Interrupted):
        fit(tmp_path / "parts", one_phase(8, *callbacks(tmp_path / "b"), At("epoch begin", 2, interrupt)))
    again = callbacks(tmp_path / "b")
    parts = fit(tmp_path / "parts", one_phase(8, *again, At("never", 0, interrupt)), resume=True)
    assert len(whole.history) == 5
    assert history(parts) == history(whole)
    assert weights(parts) == weights(whole)
    assert len({row["learning_rate"] for row in whole.history}) > 1
    for one, other in zip(alone, again, strict=True):
        assert (one.best, one.min_delta) == (other.best, other.min_delta)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {path.name for path in (tmp_path / "b").iterdir()}


class Attributes(keras.callbacks.Callback):
    """Changes the rate by what it keeps in plain attributes of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.array, self.seen, self.by_epoch, self.pair = np.zeros(2, "float32"), [], {}, (0, {"a": np.float32(0)})

    def on_train_begin(self, logs: object = None) -> None:
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 0.8

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self.array += 0.1
        self.seen.append(self.pair[0])
        self.pair = (self.pair[0] + 1, {"a": self.pair[1]["a"] + np.float32(0.1)})

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.by_epoch[epoch] = len(self.seen)
        self.model.optimizer.learning_rate = 0.01 * float(self.array[0]) / len(self.by_epoch)

    def remembered(self) -> Any:
        return self.array.tobytes(), self.seen, self.by_epoch, self.pair


class Own(keras.callbacks.Callback):
    """Says itself what its state is."""

    def __init__(self) -> None:
        super().__init__()
        self._count = np.array(0)

    def get_state(self) -> dict[str, Any]:
        return {"steps": self._count}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._count = state["steps"]

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self._count = self._count + 1

    def remembered(self) -> Any:
        return int(self._count)


def two_phases(*interruptions: keras.callbacks.Callback) -> list[Phase]:
    """In each, a scheduler that multiplies the rate at the beginning of an epoch, and two with a memory."""
    return [
        Phase(
            name,
            Duration(2, "epoch"),
            callbacks=(
                keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9), Attributes(), Own(),
                *(interruptions or [At("never", 0, interrupt)]),
            ),
        )
        for name in ("one", "two")
    ]  # fmt: skip


@pytest.mark.slow
def test_so_do_those_of_ones_own_in_the_middle_of_epochs_and_between_phases(tmp_path: Path) -> None:
    last = two_phases()
    whole = fit(tmp_path / "whole", last, checkpoint_every="2 steps")
    expected = [callback.remembered() for phase in last for callback in phase.callbacks[1:3]]
    resume = False
    for moment, epoch, batch in [("step", 0, 3), ("step", 1, 5), ("end", 1, 0), ("step", 2, 0), ("step", 2, 3)]:
        with pytest.raises(Interrupted):
            fit(
                tmp_path / "parts",
                two_phases(At(moment, epoch, interrupt, batch=batch)),
                checkpoint_every="2 steps",
                resume=resume,
            )
        resume = True
    last = two_phases()
    parts = fit(tmp_path / "parts", last, checkpoint_every="2 steps", resume=True)
    assert history(parts) == history(whole)
    assert weights(parts) == weights(whole)
    assert [callback.remembered() for callback in last[1].callbacks[1:3]] == expected[2:]


@pytest.mark.parametrize(
    ("moment", "epoch"),
    [("validation", 1), pytest.param("end", 3, marks=pytest.mark.slow)],
    ids=["between phases", "at the end"],
)
def test_a_signal_where_a_phase_ends_costs_nothing(moment: str, epoch: int, tmp_path: Path) -> None:
    options = {"checkpoint_every": "5 minutes", "average_best": 2}
    whole = fit(tmp_path / "whole", two_phases(), **options)
    phases = two_phases(At(moment, epoch, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(SystemExit, match="143"):
        fit(tmp_path / "parts", phases, **options)
    state = Checkpoints(tmp_path / "parts" / "checkpoints").read()
    assert state is not None
    assert (state.position.epoch, state.position.step, state.facts["over"]) == (epoch + 1, 0, True)
    parts = fit(tmp_path / "parts", two_phases(), resume=True, **options)
    assert history(parts) == history(whole)
    assert parts.averaged == whole.averaged != {}
    assert weights(parts) == weights(whole)


def test_a_phase_that_was_stopped_early_stays_stopped(tmp_path: Path) -> None:
    def phases(at: At) -> list[Phase]:
        stop = keras.callbacks.EarlyStopping(
            monitor="val_loss", mode="min", min_delta=1.0, patience=1, restore_best_weights=True
        )
        first, second = one_phase(4, stop, at) + one_phase(1, at)
        return [first, second]

    whole = fit(tmp_path / "whole", phases(At("never", 0, interrupt)))
    with pytest.raises(Interrupted):
        fit(tmp_path / "parts", phases(At("end", 1, interrupt)))
    parts = fit(tmp_path / "parts", phases(At("never", 0, interrupt)), resume=True)
    assert len(whole.history) == 3
    assert history(parts) == history(whole)
    assert weights(parts) == weights(whole)


class Secret(keras.callbacks.Callback):
    """Keeps what no checkpoint can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.rule, self.count = (lambda: 1), 0


def test_what_a_checkpoint_does_not_hold_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", mode="min", patience=9)
    fit(tmp_path, one_phase(2, Secret(), Own(), stop), checkpoint_every="2 steps")
    said = [record.getMessage() for record in caplog.records if "do not hold" in record.getMessage()]
    assert len(said) == 1
    assert "callback Secret has (rule)" in said[0]


def test_a_checkpoint_by_time_is_written(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "000009-00000000.ckpt").write_text("of an earlier training")
    wait, stop = At("step", 0, lambda: time.sleep(1.1), batch=2), At("step", 0, interrupt, batch=5)
    with pytest.raises(Interrupted):
        fit(tmp_path, one_phase(1, wait, stop), checkpoint_every="1 second")
    assert "000000-00000002.ckpt" in [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert not (tmp_path / "checkpoints" / "000009-00000000.ckpt").exists()
