"""A training that is interrupted anywhere ends as one that is not, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from pixels import ArrayPixels

from medexp.data.augmentation import standard
from medexp.data.batches import Batches
from medexp.errors import TrainingError
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training import session
from medexp.training.duration import Duration
from medexp.training.phase import Phase
from medexp.training.schedules import constant, cosine
from medexp.training.trainer import Trainer
from medexp.types import DataSpec, FitResult, InputSpec, Objective

INPUT = InputSpec(height=8, width=8, channels=1)
LABELS = np.arange(44) % 2
IMAGES = np.random.default_rng(0).integers(0, 128, (44, *INPUT.shape), dtype=np.uint8)
IMAGES[LABELS == 1, 2:6, 2:6] += 30
TARGETS = LABELS[:, np.newaxis].astype(np.float32)
STEPS = 6


class Data:
    """Two classes in memory; the last batch is a shorter one."""

    def __init__(self, digest: str = "one") -> None:
        self.spec = DataSpec("d", "binary", ("dark", "bright"), INPUT, {}, digest, "")

    def train(self, steps: int | None = None) -> Batches:
        return Batches(ArrayPixels(IMAGES), np.arange(44), TARGETS, batch_size=8, shuffle_seed=3, limit=steps)

    def val(self) -> Batches:
        return Batches(ArrayPixels(IMAGES), np.arange(44), TARGETS, batch_size=8)


class Interrupted(Exception):
    """As a kill, but within the process."""


class Interrupt(keras.callbacks.Callback):
    """Raises after so many steps of this process."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, values: Mapping[str, Any]) -> None:
        assert values == {}

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self._left -= 1
        if not self._left:
            raise Interrupted


def stopping(**options: Any) -> keras.callbacks.Callback:
    return keras.callbacks.EarlyStopping(monitor="val_loss", mode="min", **options)


PLATEAU = partial(
    keras.callbacks.ReduceLROnPlateau, monitor="val_loss", mode="min", patience=0, min_delta=1.0, factor=0.5
)
OPTIMIZERS = {
    "adamw with moving average": partial(keras.optimizers.AdamW, learning_rate=0.02, use_ema=True, ema_momentum=0.9),
    "sgd with accumulation": partial(
        keras.optimizers.SGD, learning_rate=0.05, momentum=0.9, gradient_accumulation_steps=4
    ),
    "lion": partial(keras.optimizers.Lion, learning_rate=0.01, weight_decay=0.1),
}


def train(
    folder: Path,
    *,
    optimizer: str,
    interrupt: int = 0,
    resume: bool = False,
    precision: str = "float32",
    data: Data | None = None,
    seed: int = 0,
) -> FitResult:
    """Two phases with early stopping, a plateau, augmentation, dropout, batch normalisation."""
    session.reset(seed=0, precision=precision)
    end = Interrupt(interrupt)
    flat = "sgd" in optimizer
    module = ClassifierModule(
        network=partial(simple_cnn, filters=[4], dropout=0.2),
        loss=partial(cross_entropy, label_smoothing=0.1),
        optimizer=OPTIMIZERS[optimizer],
        schedule=constant if flat else cosine,
    )
    phases = [
        Phase("head", Duration(2, "epoch"), train="head", callbacks=(stopping(patience=5), end)),
        Phase(
            "all",
            Duration(3, "epoch"),
            learning_rate=0.01,
            start="best",
            callbacks=(
                stopping(patience=1, restore_best_weights=True, min_delta=0.003), *([PLATEAU()] if flat else []), end,
            ),
        ),
    ]  # fmt: skip
    return Trainer(max_epochs=5, checkpoint_every="4 steps").fit(
        module,
        data or Data(),
        phases=phases,
        objective=Objective("val_loss", "min"),
        augmentation=standard(name="test", flip="horizontal", rotation=0.02, noise=0.01, mixup=0.2),
        folder=folder,
        on_epoch=lambda epoch, metrics: None,
        seed=seed,
        resume=resume,
    )


def interrupted(folder: Path, *, seed: int, **options: Any) -> tuple[FitResult, int]:
    """The same training, interrupted at random moments until it is at its end; and how often that was."""
    draw = random.Random(seed)
    times = 0
    while True:
        try:
            return train(folder, interrupt=draw.randint(5, 17), resume=times > 0, **options), times
        except Interrupted:
            times += 1


def weights(result: FitResult) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with h5py.File(result.best_weights) as file:
        file.visititems(
            lambda name, item: found.update({name: np.asarray(item).tobytes()}) if hasattr(item, "shape") else None
        )
    return found


def history(result: FitResult) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "epoch_seconds"} for row in result.history]


@pytest.mark.parametrize("optimizer", [
    OPTIMIZER if OPTIMIZER.startswith("adamw") else pytest.param(OPTIMIZER, marks=pytest.mark.slow)
    for OPTIMIZER in OPTIMIZERS
])  # fmt: skip
def test_a_resumed_training_ends_bit_identically(optimizer: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", optimizer=optimizer)
    parts, times = interrupted(tmp_path / "parts", seed=1, optimizer=optimizer)
    assert times >= 2
    assert history(parts) == history(whole)
    assert parts.best_epoch == whole.best_epoch
    assert weights(parts) == weights(whole)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_so_does_one_in_mixed_precision(precision: str, tmp_path: Path) -> None:
    options = {"optimizer": "adamw with moving average", "precision": precision}
    try:
        whole = train(tmp_path / "whole", **options)
        parts, times = interrupted(tmp_path / "parts", seed=2, **options)
    finally:
        keras.config.set_dtype_policy("float32")
    assert times >= 2
    assert history(parts) == history(whole)
    assert weights(parts) == weights(whole)


def test_what_is_resumed_must_be_the_same_training(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, optimizer="lion", interrupt=9)
    with pytest.raises(TrainingError, match=r"not the training of the checkpoint.*data: one then, other now"):
        train(tmp_path, optimizer="lion", resume=True, data=Data("other"))
    with pytest.raises(TrainingError, match=r"seed: 0 then, 1 now"):
        train(tmp_path, optimizer="lion", resume=True, seed=1)
    with pytest.raises(TrainingError, match="The checkpoint is of another training"):
        train(tmp_path, optimizer="sgd with accumulation", resume=True)


def test_a_training_that_was_at_its_end_is_not_trained_again(tmp_path: Path) -> None:
    whole = train(tmp_path, optimizer="lion")
    again = train(tmp_path, optimizer="lion", resume=True, interrupt=1)
    assert history(again) == history(whole)
    assert again.best_epoch == whole.best_epoch
    assert again.seconds >= whole.seconds


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_steps_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = train(tmp_path / "whole", optimizer="lion")
    with pytest.raises(Interrupted):
        train(tmp_path / "parts", optimizer="lion", interrupt=15)
    newest = max((tmp_path / "parts" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-200])
    parts = train(tmp_path / "parts", optimizer="lion", resume=True)
    assert "is damaged" in caplog.text
    assert history(parts) == history(whole)
    assert weights(parts) == weights(whole)


def test_where_no_checkpoint_was_written_yet_it_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, optimizer="lion", interrupt=2)
    assert not list(tmp_path.glob("checkpoints/*"))
    assert len(train(tmp_path, optimizer="lion", resume=True).history) >= 3
