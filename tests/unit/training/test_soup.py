"""Averages of weights that validation decides about."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.training.course import Kept
from medexp.training.kept_weights import KeptWeights
from medexp.training.soup import greedy_soup
from medexp.types import Objective

LOSS = Objective("val_loss", "min")
AUC = Objective("val_auc", "max")


def network() -> keras.Model:
    """Four weights of a dense layer, and the statistics of a batch normalisation."""
    image = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="norm")(image)
    return keras.Model(image, keras.layers.Dense(1, use_bias=False, name="dense")(x))


def saved(folder: Path, vectors: list[list[float]], score: Callable[[np.ndarray], float]) -> list[Kept]:
    """Files of networks with these weights; their moving means are the weights, too."""
    found, weights = [], KeptWeights(folder)
    for epoch, vector in enumerate(vectors, 1):
        model = network()
        model.get_layer("dense").kernel.assign(np.array(vector)[:, None])
        model.get_layer("norm").moving_mean.assign(np.array(vector))
        found.append(Kept(epoch, score(np.array(vector, np.float32))))
        weights.hold(found[-1], model)
    weights.write()
    return found


def loading(folder: Path, model: keras.Model) -> Callable[[Kept], None]:
    """What gives `model` the weights of an epoch in `folder`."""
    return partial(KeptWeights(folder).load, network=model)


def kernel(model: keras.Model) -> np.ndarray:
    return np.array(model.get_layer("dense").kernel)[:, 0]


def distance(to: list[float]) -> Callable[[np.ndarray], float]:
    """A loss: how far weights are from the best there could be."""
    return lambda weights: float(np.abs(np.asarray(weights) - to).sum())


def test_epochs_join_where_the_average_is_not_worse(tmp_path: Path) -> None:
    loss = distance([1, 1, 0, 0])
    candidates = saved(tmp_path, [[9, 9, 9, 9], [2, 1, 0, 0], [0, 1, 0, 0.5], [1, 1, 0, 4]], loss)
    model = network()
    soup = greedy_soup(
        model, candidates, load=loading(tmp_path, model), objective=LOSS, score=lambda: loss(kernel(model))
    )
    assert soup.members == (2, 3)
    assert soup.value == pytest.approx(0.25)
    assert kernel(model) == pytest.approx([1, 1, 0, 0.25])


def test_the_average_is_uniform_over_all_members(tmp_path: Path) -> None:
    candidates = saved(tmp_path, [[0, 0, 0, 0], [3, 0, 0, 0], [6, 0, 0, 0]], lambda weights: 1.0)
    model = network()
    soup = greedy_soup(model, candidates, load=loading(tmp_path, model), objective=LOSS, score=lambda: 1.0)
    assert soup.members == (1, 2, 3)
    assert kernel(model)[0] == 3


def test_sums_lose_nothing(tmp_path: Path) -> None:
    """In float32, 1e8 + 1 + 1 is 1e8."""
    candidates = saved(tmp_path, [[1e8, 0, 0, 0], [3, 0, 0, 0], [3, 0, 0, 0]], lambda weights: 1.0)
    model = network()
    greedy_soup(model, candidates, load=loading(tmp_path, model), objective=LOSS, score=lambda: 1.0)
    assert kernel(model)[0] == np.float32((1e8 + 6) / 3)


def test_statistics_of_batch_normalisation_are_averaged(tmp_path: Path) -> None:
    candidates = saved(tmp_path, [[0, 0, 0, 0], [1, 2, 3, 4]], lambda weights: 1.0)
    model = network()
    greedy_soup(model, candidates, load=loading(tmp_path, model), objective=AUC, score=lambda: 1.0)
    assert np.array(model.get_layer("norm").moving_mean) == pytest.approx([0.5, 1, 1.5, 2])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("objective", [LOSS, AUC], ids=["min", "max"])
def test_it_is_never_worse_than_the_best_epoch(objective: Objective, seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    sign = 1 if objective.mode == "min" else -1

    def value(weights: np.ndarray) -> float:  # with many valleys
        return sign * float(np.sin(5 * np.asarray(weights)).sum() + np.abs(weights).sum())

    candidates = saved(tmp_path, draw.normal(size=(6, 4)).tolist(), value)
    model = network()
    soup = greedy_soup(
        model, candidates, load=loading(tmp_path, model), objective=objective, score=lambda: value(kernel(model))
    )
    best = candidates[0].value
    for candidate in candidates:
        best = candidate.value if objective.better(candidate.value, best) else best
    assert not objective.better(best, soup.value)
    assert soup.value == value(kernel(model))


def test_of_equal_epochs_the_earlier_comes_first_whatever_the_order_they_are_given_in(tmp_path: Path) -> None:
    candidates = saved(tmp_path, [[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]], lambda weights: 1.0)
    found = []
    for order in (candidates, candidates[::-1]):
        model, scores = network(), iter([1.0, 2.0, 1.0, 2.0])
        soup = greedy_soup(model, order, load=loading(tmp_path, model), objective=LOSS, score=scores.__next__)
        found.append((soup, kernel(model).tobytes()))
    assert found[0] == found[1]
    assert found[0][0].members == (1, 3)


def test_an_epoch_without_a_number_is_left_out(tmp_path: Path) -> None:
    candidates = saved(tmp_path, [[1, 1, 1, 1], [2, 2, 2, 2]], lambda weights: 1.0)
    candidates[0] = Kept(1, float("nan"))
    model = network()
    soup = greedy_soup(model, candidates, load=loading(tmp_path, model), objective=AUC, score=lambda: 1.0)
    assert soup.members == (2,)
    with pytest.raises(ValueError, match="no candidate has a finite objective"):
        greedy_soup(model, candidates[:1], load=loading(tmp_path, model), objective=AUC, score=lambda: 1.0)


def test_an_average_without_a_number_does_not_join(tmp_path: Path) -> None:
    candidates = saved(tmp_path, [[1, 1, 1, 1], [2, 2, 2, 2]], lambda weights: 1.0)
    scores = iter([1.0, float("nan")])
    model = network()
    soup = greedy_soup(model, candidates, load=loading(tmp_path, model), objective=AUC, score=lambda: next(scores))
    assert soup.members == (1,)
    assert kernel(model).tolist() == [1, 1, 1, 1]


def test_what_has_no_fraction_stays_as_the_best_epoch_has_it(tmp_path: Path) -> None:
    class Counting(keras.layers.Layer):
        def build(self, shape: tuple[int | None, ...]) -> None:
            self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

        def call(self, x: object) -> object:
            return x

    def counting(count: int) -> keras.Model:
        image = keras.Input((4,))
        layer = Counting(name="count")
        model = keras.Model(image, keras.layers.Dense(1)(layer(image)))
        layer.count.assign(count)
        return model

    candidates, weights = [Kept(1, 1.0), Kept(2, 1.0)], KeptWeights(tmp_path)
    for kept, count in zip(candidates, (7, 4), strict=True):
        weights.hold(kept, counting(count))
    weights.write()
    model = counting(0)
    soup = greedy_soup(model, candidates, load=loading(tmp_path, model), objective=AUC, score=lambda: 1.0)
    assert soup.members == (1, 2)
    assert int(model.get_layer("count").count) == 7
