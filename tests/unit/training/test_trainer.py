from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from pixels import ArrayPixels

from medexp.data.augmentation import standard
from medexp.data.batches import Batches
from medexp.errors import ConfigError, TrainingError
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training import session
from medexp.training.duration import Duration
from medexp.training.phase import Phase
from medexp.training.schedules import cosine
from medexp.training.trainer import Trainer
from medexp.types import DataSpec, FitResult, InputSpec, Objective

INPUT = InputSpec(height=8, width=8, channels=1)
LABELS = np.arange(24) % 2
IMAGES = np.random.default_rng(0).integers(0, 128, (24, *INPUT.shape), dtype=np.uint8)
IMAGES[LABELS == 1, 2:6, 2:6] += 100
ROWS, TARGETS = np.arange(24), LABELS[:, np.newaxis].astype(np.float32)
POLICY = partial(standard, name="test", flip="horizontal", rotation=0.02, noise=0.01)


class Recording(Batches):
    """Remembers which batches were asked for, and the images in them."""

    def __init__(self, seed: int, limit: int | None) -> None:
        super().__init__(ArrayPixels(IMAGES), ROWS, TARGETS, batch_size=8, shuffle_seed=seed, limit=limit)
        self.seen: list[bytes] = []

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = super().__getitem__(index)
        self.seen.append(batch[0].tobytes())
        return batch


class Data:
    """Two classes in memory; dark images, and those with a bright square."""

    spec = DataSpec("d", "binary", ("dark", "bright"), INPUT, {}, "", "")

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def train(self, steps: int | None = None) -> Batches:
        self.batches = Recording(self.seed, limit=steps)
        return self.batches

    def val(self) -> Batches:
        return Batches(ArrayPixels(IMAGES), ROWS, TARGETS, batch_size=8)


def module(learning_rate: float = 0.02) -> ClassifierModule:
    return ClassifierModule(
        network=partial(simple_cnn, filters=[4], dropout=0.2),
        loss=cross_entropy,
        optimizer=partial(keras.optimizers.AdamW, learning_rate=learning_rate),
        schedule=cosine,
    )


def fit(
    folder: Path,
    *,
    seed: int = 0,
    data: Data | None = None,
    trainer: Trainer | None = None,
    metric: str = "val_auc",
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    augment: bool = True,
    draws: int | None = None,
) -> FitResult:
    trainer = trainer or Trainer(max_epochs=3)
    session.reset(seed=seed, precision=trainer.precision)
    return trainer.fit(
        module(),
        data or Data(),
        objective=Objective(metric, "max"),
        augmentation=POLICY() if augment else (),
        phases=[Phase("all", Duration(100, "%"), callbacks=callbacks)],
        folder=folder,
        on_epoch=lambda epoch, metrics: None,
        seed=seed if draws is None else draws,
    )


def rate(*, step: int, of: int) -> float:
    return float(cosine(learning_rate=0.02, total_steps=of, steps_per_epoch=3)(step))


def best_network(result: FitResult) -> keras.Model:
    network = module().build(Data.spec)
    network.load_weights(result.best_weights)
    return network


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(tmp_path_factory.mktemp("fit"))


def test_the_same_seed_gives_bit_identical_weights(result: FitResult, tmp_path: Path) -> None:
    again = fit(tmp_path)
    assert again.best_epoch == result.best_epoch
    for first, second in zip(best_network(result).get_weights(), best_network(again).get_weights(), strict=True):
        assert first.tobytes() == second.tobytes()


def test_what_is_drawn_depends_on_the_seed_that_the_trainer_is_given(result: FitResult, tmp_path: Path) -> None:
    other = fit(tmp_path, draws=1)
    assert [row["loss"] for row in other.history] != [row["loss"] for row in result.history]


def test_dropout_depends_on_it_too(tmp_path: Path) -> None:
    first, again, other = (fit(tmp_path / str(i), draws=i, augment=False).history[-1] for i in (0, 0, 1))
    for metric in ("loss", "val_loss"):
        assert first[metric] == again[metric] != other[metric]


def test_the_history_has_every_epoch_with_its_metrics(result: FitResult) -> None:
    assert len(result.history) == 3
    for row in result.history:
        assert {"loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc", "learning_rate"} <= set(row)


def test_the_best_epoch_is_the_first_of_the_best_objective(result: FitResult) -> None:
    scores = [row["val_auc"] for row in result.history]
    assert result.best_epoch == scores.index(max(scores)) + 1


def test_the_saved_weights_are_those_of_the_network_at_its_best(result: FitResult) -> None:
    scores = best_network(result).predict(IMAGES, verbose=0)
    auc = keras.metrics.AUC()
    auc.update_state(LABELS[:, np.newaxis], scores)
    assert float(auc.result()) == pytest.approx(result.best["val_auc"], abs=1e-6)


def test_the_learning_rate_follows_the_schedule_over_the_whole_training(result: FitResult) -> None:
    rates = [row["learning_rate"] for row in result.history]
    assert rates == pytest.approx([rate(step=step, of=9) for step in (3, 6, 9)], rel=1e-5)


def test_fewer_steps_an_epoch_are_taken_in_every_epoch(tmp_path: Path) -> None:
    result = fit(tmp_path, trainer=Trainer(max_epochs=2, steps_per_epoch=2))
    assert result.history[-1]["learning_rate"] == pytest.approx(rate(step=4, of=4), rel=1e-5)


@pytest.mark.parametrize(("steps", "taken"), [(2, 2), (100, 3)])
def test_an_epoch_takes_the_steps_asked_for_or_all_there_are(steps: int, taken: int, tmp_path: Path) -> None:
    result = fit(tmp_path, trainer=Trainer(max_epochs=1, steps_per_epoch=steps), augment=False)
    assert result.history[0]["learning_rate"] == pytest.approx(rate(step=taken, of=taken), rel=1e-5)


def test_a_callback_may_stop_the_training(tmp_path: Path) -> None:
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", mode="max", patience=0, baseline=1e9)
    assert len(fit(tmp_path, callbacks=(stop,), augment=False).history) == 2


def test_a_callback_that_watches_what_does_not_exist_stops_the_training(tmp_path: Path) -> None:
    stop = keras.callbacks.EarlyStopping(monitor="val_acc", mode="max")
    with pytest.raises(TrainingError, match=r"callbacks: monitor.*'val_acc'.*Did you mean 'val_auc'|val_accuracy"):
        fit(tmp_path, callbacks=(stop,), augment=False)


def test_a_callback_that_sets_the_learning_rate_of_a_schedule_is_refused(tmp_path: Path) -> None:
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", mode="min")
    with pytest.raises(ConfigError, match=r"ReduceLROnPlateau in phase all\. Override: schedule=plateau"):
        fit(tmp_path, callbacks=(plateau,), augment=False)


def test_an_unknown_objective_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"objective\.metric: Unknown metric"):
        fit(tmp_path, metric="val_acc", augment=False)


def test_an_average_that_no_validation_could_choose_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"objective\.metric=auc.*Override: trainer\.average_best=1"):
        fit(tmp_path / "run", metric="auc", trainer=Trainer(max_epochs=1, average_best=5), augment=False)
    assert not (tmp_path / "run").exists()


def test_the_average_of_the_best_epochs_is_what_is_saved(tmp_path: Path) -> None:
    result = fit(tmp_path, trainer=Trainer(max_epochs=3, average_best=3), augment=False)
    network = best_network(result)
    network.compile(loss="binary_crossentropy")
    assert result.averaged["val_loss"] == pytest.approx(network.evaluate(Data().val(), verbose=0), abs=1e-5)


def test_mixed_precision_trains(tmp_path: Path) -> None:
    result = fit(tmp_path, trainer=Trainer(max_epochs=1, precision="mixed_bfloat16"))
    keras.config.set_dtype_policy("float32")
    assert np.isfinite(best_network(result).predict(IMAGES, verbose=0)).all()


def test_the_order_of_batches_depends_on_the_seed_of_the_data_alone(tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1):
        data = Data(seed=5)
        fit(tmp_path / str(seed), seed=seed, data=data, trainer=Trainer(max_epochs=1), augment=False)
        orders.append(data.batches.seen[:4])
    assert orders[0] == orders[1]


@pytest.mark.parametrize("augment", [False, True])
def test_each_epoch_sees_the_images_in_its_own_order(augment: bool, tmp_path: Path) -> None:
    data = Data(seed=5)
    fit(tmp_path, data=data, augment=augment)
    expected = []
    for epoch in range(3):
        alone = Recording(5, limit=None)
        alone.start_epoch(epoch)
        expected += [alone[i][0].tobytes() for i in range(len(alone))]
    assert data.batches.seen[-len(expected) :] == expected


@pytest.mark.parametrize("every", [5, "5", "often", "10%"])
def test_a_distance_between_checkpoints_that_is_none_is_answered_with_examples(every: str | int) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.checkpoint_every: should be a duration such as 200 steps"):
        Trainer(max_epochs=1, checkpoint_every=every)
