"""What a recipe promises, looked at while it is trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from small_training import Data, fit, history, module, one_phase, weights

from medexp.data.augmentation import standard


class Watch(keras.callbacks.Callback):
    """Copies the weights and their moving average when an epoch begins, its steps are done, and it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[list[np.ndarray]] = []
        self.trained: list[list[np.ndarray]] = []
        self.average: list[list[np.ndarray]] = []

    def get_state(self) -> dict[str, object]:
        return {}

    def on_train_begin(self, logs: object = None) -> None:
        self.start = self._weights()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.began.append(self._weights())

    def on_test_begin(self, logs: object = None) -> None:
        self.trained.append(self._weights())
        if self.model.optimizer.use_ema:
            self.average.append([np.array(v) for v in self.model.optimizer._model_variables_moving_average])

    def _weights(self) -> list[np.ndarray]:
        return [np.array(variable) for variable in self.model.trainable_variables]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(one.tobytes() == other.tobytes() for one, other in zip(first, second, strict=True))


def test_the_moving_average_is_validated_and_saved_and_training_goes_on_without_it(tmp_path: Path) -> None:
    watch = Watch()
    optimizer = partial(keras.optimizers.Adam, learning_rate=0.02, use_ema=True, ema_momentum=0.8)
    result = fit(tmp_path, one_phase(3, watch), optimizer=optimizer)
    best = result.best_epoch - 1
    network = module().build(Data.spec)
    network.load_weights(result.best_weights)
    saved = [np.array(variable) for variable in network.trainable_variables]
    assert same(saved, watch.average[best])
    assert not same(saved, watch.trained[best])
    for epoch in range(2):
        assert same(watch.began[epoch + 1], watch.trained[epoch])
    network.compile(loss="binary_crossentropy")
    loss = network.evaluate(Data().val(), verbose=0)
    assert result.history[best]["val_loss"] == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_gradients_are_clipped(option: str, tmp_path: Path) -> None:
    """At a rate of 1, a step of SGD is the gradient."""
    moved = []
    for limit in ({option: 0.001}, {}):
        watch = Watch()
        optimizer = partial(keras.optimizers.SGD, learning_rate=1.0, **limit)
        fit(tmp_path / str(len(limit)), one_phase(1, watch), optimizer=optimizer, steps_per_epoch=1)
        steps = [after - before for before, after in zip(watch.start, watch.trained[0], strict=True)]
        moved.append([float(np.linalg.norm(step)) for step in steps])
    clipped, free = moved
    assert max(free) > 0.01
    if option == "clipnorm":
        assert clipped == pytest.approx([min(0.001, norm) for norm in free], rel=0.01)
    else:
        assert np.linalg.norm(clipped) == pytest.approx(0.001, rel=0.01)


def test_threads_that_read_ahead_change_nothing(tmp_path: Path) -> None:
    augmentation = standard(name="test", flip="horizontal", rotation=0.02, noise=0.01)
    alone, together = (
        fit(tmp_path / str(workers), one_phase(3), workers=workers, augmentation=augmentation) for workers in (1, 4)
    )
    assert history(alone) == history(together)
    assert weights(alone) == weights(together)
