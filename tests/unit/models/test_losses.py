"""What is minimised, by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.models.losses import cross_entropy, focal
from medexp.types import TASKS, DataSpec, InputSpec, Task

LOSSES: dict[str, Callable[..., keras.losses.Loss]] = {"cross_entropy": cross_entropy, "focal": focal}
NAMES = ("a", "b", "c")
TARGETS: dict[Task, list[list[float]]] = {
    "binary": [[1], [0], [1], [0]],
    "multiclass": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]],
    "multilabel": [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]],
    "ordinal": [[0, 0], [1, 0], [1, 1], [0, 0]],
}


def spec(task: Task, counts: Mapping[str, int] | None = None) -> DataSpec:
    names = NAMES[:2] if task == "binary" else NAMES
    counts = counts or dict(zip(names, (6, 3, 1), strict=False))
    return DataSpec("d", task, names, InputSpec(8, 8, 1), {"train": counts}, "", "")


def probabilities(task: Task, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, (4, spec(task).outputs))
    if task == "multiclass":
        p /= p.sum(axis=1, keepdims=True)
    return np.sort(p)[:, ::-1] if task == "ordinal" else p


def targets(task: Task) -> np.ndarray:
    return np.array(TARGETS[task], np.float32)


def value(loss: keras.losses.Loss, y: Any, p: Any) -> float:
    return float(loss(np.asarray(y, np.float32), np.asarray(p, np.float32)))


def by_hand(
    task: Task, y: np.ndarray, p: np.ndarray, positive: Any = 1.0, negative: Any = 1.0, gamma: float = 0.0
) -> float:
    terms = y * positive * (1 - p) ** gamma * -np.log(p)
    if task == "multiclass":
        return float(terms.sum(axis=1).mean())
    return float((terms + (1 - y) * negative * p**gamma * -np.log(1 - p)).mean())


@pytest.mark.parametrize("task", TASKS)
def test_cross_entropy_is_what_it_is_by_hand(task: Task) -> None:
    y, p = targets(task), probabilities(task)
    assert value(cross_entropy(spec(task)), y, p) == pytest.approx(by_hand(task, y, p), rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_weights_of_one_change_nothing(task: Task) -> None:
    y, p = targets(task), probabilities(task)
    ones = dict.fromkeys(spec(task).class_names, 1)
    plain, weighted = cross_entropy(spec(task)), cross_entropy(spec(task), class_weights=ones)
    assert value(weighted, y, p) == pytest.approx(value(plain, y, p), rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_focal_loss_counts_sure_answers_less(task: Task, gamma: float) -> None:
    y, p = targets(task), probabilities(task)
    assert value(focal(spec(task), gamma=gamma), y, p) == pytest.approx(by_hand(task, y, p, gamma=gamma), rel=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_a_focal_loss_of_gamma_0_is_cross_entropy(task: Task) -> None:
    y, p = targets(task), probabilities(task)
    assert value(focal(spec(task), gamma=0.0), y, p) == pytest.approx(value(cross_entropy(spec(task)), y, p), rel=1e-5)


def test_focal_loss_of_the_paper() -> None:
    # (Lin et al., 2017): with gamma 2, an answer of 0.9 has a hundredth of the loss
    loss = value(focal(spec("binary"), gamma=2.0), [[1]], [[0.9]])
    assert loss == pytest.approx(value(cross_entropy(spec("binary")), [[1]], [[0.9]]) / 100, rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [None, {"a": 1.0, "b": 2.0, "c": 3.0}])
@pytest.mark.parametrize("task", TASKS)
def test_smoothing_spreads_a_share_of_the_target(task: Task, weights: dict[str, float] | None, loss: str) -> None:
    given = None if weights is None else {name: weights[name] for name in spec(task).class_names}
    y, p = targets(task), probabilities(task)
    even = 1 / 3 if task == "multiclass" else 0.5
    smooth = value(LOSSES[loss](spec(task), label_smoothing=0.2, class_weights=given), y, p)
    wanted = value(LOSSES[loss](spec(task), class_weights=given), 0.8 * y + 0.2 * even, p)
    assert smooth == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("task", TASKS)
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(task: Task, loss: str) -> None:
    weights = dict(zip(spec(task).class_names, (1.0, 2.0, 5.0), strict=False))
    made = LOSSES[loss](spec(task), class_weights=weights, label_smoothing=0.1)
    y, p = targets(task), probabilities(task)
    first, second = value(made, y, p), value(made, y[::-1], p)
    assert value(made, 0.3 * y + 0.7 * y[::-1], p) == pytest.approx(0.3 * first + 0.7 * second, rel=1e-5)


def test_weights_of_two_classes_are_those_of_the_answers() -> None:
    y, p = targets("binary"), probabilities("binary")
    loss = cross_entropy(spec("binary"), class_weights={"a": 0.5, "b": 3})
    assert value(loss, y, p) == pytest.approx(by_hand("binary", y, p, positive=3, negative=0.5), rel=1e-5)


def test_weights_of_many_classes_are_those_of_the_true_one() -> None:
    y, p = targets("multiclass"), probabilities("multiclass")
    loss = cross_entropy(spec("multiclass"), class_weights={"c": 4, "a": 1, "b": 2})
    assert value(loss, y, p) == pytest.approx(by_hand("multiclass", y, p, positive=[1, 2, 4]), rel=1e-5)


def test_weights_of_labels_are_those_of_the_labels_that_are_there() -> None:
    y, p = targets("multilabel"), probabilities("multilabel")
    loss = cross_entropy(spec("multilabel"), class_weights={"a": 1, "b": 2, "c": 4})
    assert value(loss, y, p) == pytest.approx(by_hand("multilabel", y, p, positive=[1, 2, 4]), rel=1e-5)


def test_weights_of_grades_are_the_mean_on_each_side_of_a_cut_point() -> None:
    y, p = targets("ordinal"), probabilities("ordinal")
    loss = cross_entropy(spec("ordinal"), class_weights={"a": 1, "b": 2, "c": 6})  # of 6, 3 and 1 images
    positive, negative = [(3 * 2 + 1 * 6) / 4, 6], [1, (6 * 1 + 3 * 2) / 9]
    assert value(loss, y, p) == pytest.approx(by_hand("ordinal", y, p, positive, negative), rel=1e-5)


def automatic(task: Task, **counts: int) -> keras.losses.Loss:
    return cross_entropy(spec(task, counts), class_weights="auto")


def test_auto_weighs_each_class_the_same_and_an_image_1_in_the_mean() -> None:
    y, p = targets("multiclass"), probabilities("multiclass")
    weights = np.array([10 / (3 * 6), 10 / (3 * 3), 10 / (3 * 1)])
    assert weights * [6, 3, 1] == pytest.approx([10 / 3] * 3)
    wanted = by_hand("multiclass", y, p, positive=weights)
    assert value(automatic("multiclass", a=6, b=3, c=1), y, p) == pytest.approx(wanted, rel=1e-5)


def test_auto_of_two_classes() -> None:
    y, p = targets("binary"), probabilities("binary")
    wanted = by_hand("binary", y, p, positive=8 / (2 * 2), negative=8 / (2 * 6))
    assert value(automatic("binary", a=6, b=2), y, p) == pytest.approx(wanted, rel=1e-5)


def test_auto_of_grades_balances_every_cut_point() -> None:
    y, p = targets("ordinal"), probabilities("ordinal")
    wanted = by_hand("ordinal", y, p, positive=[10 / (2 * 4), 10 / (2 * 1)], negative=[10 / (2 * 6), 10 / (2 * 9)])
    assert value(automatic("ordinal", a=6, b=3, c=1), y, p) == pytest.approx(wanted, rel=1e-5)


def test_auto_of_labels_balances_where_each_is_and_where_it_is_not() -> None:
    y, p = targets("multilabel"), probabilities("multilabel")
    counts = {"train": {"a": 15, "b": 2, "c": 20}}  # all images have the last
    facts = DataSpec("d", "multilabel", NAMES, InputSpec(8, 8, 1), counts, "", "", images={"train": 20})
    loss = cross_entropy(facts, class_weights="auto")
    positive, negative = [20 / 30, 20 / 4, 1], [20 / 10, 20 / 36, 1]
    assert value(loss, y, p) == pytest.approx(by_hand("multilabel", y, p, positive, negative), rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_network_that_is_sure_and_wrong_still_learns(task: Task, loss: str, weighted: bool) -> None:
    weights = dict.fromkeys(spec(task).class_names, 1.0) if weighted else None
    sure = 12.0 if task == "ordinal" else 40.0
    made = LOSSES[loss](spec(task), class_weights=weights)
    losses, gradients = _slopes(made, task, logits=[-sure, sure], truths=[True, False])
    assert np.isfinite(losses).all()
    assert (np.abs(gradients).max(axis=1) > 0.1).all()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_no_loss_or_slope_is_infinite_however_sure(task: Task, gamma: float) -> None:
    logits = [-500.0, -100.0, 0.0, 100.0, 500.0]
    for slopes in _slopes(focal(spec(task), gamma=gamma), task, logits=2 * logits, truths=5 * [False] + 5 * [True]):
        assert np.isfinite(slopes).all()


def _slopes(
    loss: keras.losses.Loss, task: Task, *, logits: list[float], truths: list[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Losses and gradients at the logits of the networks' own heads, in a graph as `fit` has it."""
    import tensorflow as tf

    outputs = spec(task).outputs
    start = np.repeat(np.array(logits, np.float32)[:, None], outputs, axis=1)
    target = np.repeat(np.array(truths, np.float32)[:, None], outputs, axis=1)
    if task == "multiclass":
        start[:, 1:] *= -1
        target = np.eye(outputs, dtype=np.float32)[[0 if truth else 1 for truth in truths]]
    variable = tf.Variable(start)
    loss.reduction = None

    @tf.function
    def slope() -> Any:
        with tf.GradientTape() as tape:
            if task == "ordinal":
                p = keras.activations.exponential(keras.ops.cumsum(keras.activations.log_sigmoid(variable), axis=-1))
            else:
                p = keras.activations.get("softmax" if task == "multiclass" else "sigmoid")(variable)
            losses = loss(target, p)
        return losses, tape.gradient(losses, variable)

    losses, gradient = slope()
    return losses.numpy(), gradient.numpy()


def test_the_loss_of_a_fit_learns_from_sure_and_wrong_answers() -> None:
    image = keras.Input((1,))
    layer = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", bias_initializer="zeros")
    network = keras.Model(image, layer(image))
    layer.bias.assign([40.0])
    loss = cross_entropy(spec("binary"), class_weights={"a": 1, "b": 1})
    network.compile(loss=loss, optimizer=keras.optimizers.SGD(1.0))
    network.fit(np.zeros((2, 1)), np.zeros((2, 1)), verbose=0)
    assert float(layer.bias[0]) == pytest.approx(39.0)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (
            {"a": 1, "b": 2, "d": 1},
            r"Unknown class\. Received: 'd'\. Available: a, b, c.*Override: 'loss\.class_weights=",
        ),
        ({"a": 1, "b": 2}, r"c has none\. Received: .*Override"),
        ({"a": 1, "b": -2, "c": 1}, r"weight of b should be a number, 0 or more\. Received: -2"),
        ({"a": 1, "b": float("nan"), "c": 1}, r"weight of b .*Received: nan"),
        ({"a": 1, "b": "two", "c": 1}, r"weight of b .*Received: 'two'"),
        ({"a": 0, "b": 0, "c": 0}, "nothing to learn"),
        ("balanced", r"Unknown word\. Received: 'balanced'\. Available: auto"),
    ],
)
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_that_do_not_fit_the_classes_are_refused(weights: Any, said: str, loss: str) -> None:
    with pytest.raises(ConfigError, match=r"loss\.class_weights.*" + said if "nothing" not in said else said):
        LOSSES[loss](spec("multiclass"), class_weights=weights)


@pytest.mark.parametrize("share", [-0.1, 1.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_smoothing_that_leaves_no_label_is_refused(loss: str, share: float) -> None:
    with pytest.raises(ConfigError, match=rf"loss\.label_smoothing.*Received: {share}.*Override"):
        LOSSES[loss](spec("binary"), label_smoothing=share)


def test_a_focus_below_0_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss\.gamma.*Received: -1.*Override"):
        focal(spec("binary"), gamma=-1.0)
