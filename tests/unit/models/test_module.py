"""The recipe of what is learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medexp.errors import ConfigError
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training.schedules import constant, cosine
from medexp.types import TASKS, DataSpec, InputSpec, Task

BINARY = DataSpec("d", "binary", ("a", "b"), InputSpec(8, 8, 1), {"train": {"a": 3, "b": 1}}, "", "")
Schedule = Callable[..., Any]


def module(learning_rate: float = 0.1, *, schedule: Schedule = constant, **options: Any) -> ClassifierModule:
    optimizer = partial(keras.optimizers.SGD, learning_rate=learning_rate, **options)
    return ClassifierModule(network=simple_cnn, loss=cross_entropy, optimizer=optimizer, schedule=schedule)


def recipe(spec: DataSpec, network: keras.Model | None = None, **options: Any) -> dict[str, Any]:
    network = network or simple_cnn(spec, filters=[4])
    return module(**options).compile_args(spec, network, total_steps=100, steps_per_epoch=10)


def metric_of(name: str, spec: DataSpec, targets: np.ndarray, outputs: np.ndarray) -> float:
    (metric,) = [m for m in recipe(spec, keras.Sequential())["metrics"] if m.name == name]
    metric.update_state(targets, outputs)
    return float(metric.result())


auc_of, accuracy_of = partial(metric_of, "auc"), partial(metric_of, "accuracy")


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (4, 0), (2, -7), (2, 7)], ids=["mild", "sure", "rare", "common"])
def test_auc_is_the_exact_one_however_sure_or_rare(scale: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.3).astype("float32")
    scores = 1 / (1 + np.exp(-(scale * (rng.normal(size=2000) + 1.5 * labels) + shift)))
    spec = DataSpec("d", "binary", ("a", "b"), InputSpec(8, 8, 1), {}, "", "")
    found = auc_of(spec, labels[:, None], scores[:, None].astype("float32"))
    assert found == pytest.approx(roc_auc_score(labels, scores), abs=2e-3)


def test_auc_of_many_classes_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 900)
    logits = 3 * (rng.normal(size=(900, 3)) + 1.5 * np.eye(3)[labels])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    spec = DataSpec("d", "multiclass", ("a", "b", "c"), InputSpec(8, 8, 1), {}, "", "")
    found = auc_of(spec, np.eye(3, dtype="float32")[labels], scores.astype("float32"))
    assert found == pytest.approx(roc_auc_score(np.eye(3)[labels], scores, average="macro"), abs=3e-3)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_learning_rate_that_cannot_learn_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match=f"optimizer.learning_rate.*Received: {rate}"):
        module(rate)


def test_auc_leaves_out_a_finding_that_nobody_has() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((400, 4)) < 0.4).astype("float32")
    truth[:, 1], truth[:, 3] = 0, 1
    scores = (1 / (1 + np.exp(-(rng.normal(size=(400, 4)) + 1.5 * truth)))).astype("float32")
    spec = DataSpec("d", "multilabel", ("a", "b", "c", "d"), InputSpec(8, 8, 1), {}, "", "")
    wanted = np.mean([roc_auc_score(truth[:, i], scores[:, i]) for i in (0, 2)])
    assert auc_of(spec, truth, scores) == pytest.approx(wanted, abs=3e-3)


def test_auc_of_targets_with_one_value_is_a_number() -> None:
    spec = DataSpec("d", "multilabel", ("a", "b"), InputSpec(8, 8, 1), {}, "", "")
    assert auc_of(spec, np.zeros((3, 2), "float32"), np.full((3, 2), 0.5, "float32")) == 0


def test_auc_of_grades_is_the_mean_over_cut_points() -> None:
    rng = np.random.default_rng(0)
    grades = rng.integers(0, 4, 900)
    severity = grades + rng.normal(size=900)
    above = (1 / (1 + np.exp(-2 * (severity[:, None] - np.array([0.5, 1.5, 2.5]))))).astype("float32")
    spec = DataSpec("d", "ordinal", ("a", "b", "c", "d"), InputSpec(8, 8, 1), {}, "", "")
    targets = (grades[:, None] > np.arange(3)).astype("float32")
    wanted = np.mean([roc_auc_score(targets[:, k], above[:, k]) for k in range(3)])
    assert auc_of(spec, targets, above) == pytest.approx(wanted, abs=3e-3)


def test_a_mixed_target_counts_as_the_nearer_value() -> None:
    spec = DataSpec("d", "binary", ("a", "b"), InputSpec(8, 8, 1), {}, "", "")
    scores = np.array([[0.2], [0.7], [0.4], [0.9]], "float32")
    mixed, hard = (np.array([row], "float32").T for row in ([0.3, 0.8, 0.1, 0.6], [0, 1, 0, 1]))
    assert auc_of(spec, mixed, scores) == auc_of(spec, hard, scores) == 1
    assert accuracy_of(spec, mixed, scores) == 1


@pytest.mark.parametrize(
    ("task", "targets", "outputs", "accuracy"),
    [
        ("binary", [[1], [0], [1], [0]], [[0.6], [0.4], [0.4], [0.1]], 3 / 4),
        ("multiclass", [[1, 0, 0], [0, 0, 1]], [[0.4, 0.3, 0.3], [0.1, 0.5, 0.4]], 1 / 2),
        ("multilabel", [[1, 0, 1], [0, 0, 1]], [[0.6, 0.6, 0.6], [0.4, 0.4, 0.4]], 4 / 6),
        # grades 2, 0, 1: most probable are 2 of (.3, .3, .4), 0 of (.5, .4, .1) and 0 of (.4, .3, .3)
        ("ordinal", [[1, 1], [0, 0], [1, 0]], [[0.7, 0.4], [0.5, 0.1], [0.6, 0.3]], 2 / 3),
    ],
)
def test_accuracy_is_what_it_is_by_hand(
    task: Task, targets: list[list[int]], outputs: list[list[float]], accuracy: float
) -> None:
    spec = DataSpec("d", task, ("a", "b") if task == "binary" else ("a", "b", "c"), InputSpec(8, 8, 1), {}, "", "")
    found = accuracy_of(spec, np.array(targets, "float32"), np.array(outputs, "float32"))
    assert found == pytest.approx(accuracy)


@pytest.mark.parametrize("task", TASKS)
def test_validation_metrics_of_a_fit_do_not_depend_on_the_batches(task: Task) -> None:
    keras.utils.set_random_seed(0)
    spec = DataSpec("d", task, ("a", "b") if task == "binary" else ("a", "b", "c"), InputSpec(8, 8, 1), {}, "", "")
    network = simple_cnn(spec, filters=[4])
    network.compile(**recipe(spec, network))
    images = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 1)).astype("float32")
    targets = np.tril(np.ones((11, spec.outputs), "float32"), 1)  # an outcome of every task but multi-class
    if task == "multiclass":
        targets = np.eye(3, dtype="float32")[np.arange(11) % 3]
    whole, parts = (network.evaluate(images, targets, batch_size=n, return_dict=True, verbose=0) for n in (11, 3))
    assert set(whole) == {"loss", "accuracy", "auc"}
    assert whole == pytest.approx(parts, abs=1e-6)
    assert np.isfinite(list(whole.values())).all()


def test_an_image_that_weighs_twice_counts_twice() -> None:
    spec = DataSpec("d", "binary", ("a", "b"), InputSpec(8, 8, 1), {}, "", "")
    targets, scores = (np.array([row], "float32").T for row in ([0, 0, 1], [0.2, 0.7, 0.5]))
    weighted, twice = (recipe(spec, keras.Sequential())["metrics"][1] for _ in range(2))
    weighted.update_state(targets, scores, sample_weight=np.array([1, 2, 1], "float32"))
    twice.update_state(targets[[0, 1, 1, 2]], scores[[0, 1, 1, 2]])
    assert float(weighted.result()) == pytest.approx(float(twice.result())) == pytest.approx(1 / 3)


def test_weight_decay_is_for_kernels_alone() -> None:
    network = simple_cnn(BINARY, filters=[4])
    for weight in network.trainable_weights:
        weight.assign(np.ones(weight.shape))
    optimizer = recipe(BINARY, network, weight_decay=0.5)["optimizer"]
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in network.trainable_weights], network.trainable_weights)
    left = {weight.path: float(keras.ops.mean(weight)) for weight in network.trainable_weights}
    kernels = {path for path in left if path.endswith("kernel")}
    assert {path for path, value in left.items() if value < 1} == kernels
    assert [left[path] for path in kernels] == pytest.approx([1 - 0.5 * 0.1] * 2)
    assert len(left) == len(kernels) + 3  # scale and shift of the norm, bias of the head


def test_a_phase_may_have_its_own_peak() -> None:
    network = simple_cnn(BINARY, filters=[4])
    args = module().compile_args(BINARY, network, total_steps=100, steps_per_epoch=10, learning_rate=0.02)
    assert float(args["optimizer"].learning_rate) == pytest.approx(0.02)


def test_every_phase_has_an_optimizer_of_its_own() -> None:
    network = simple_cnn(BINARY, filters=[4])
    first, second = recipe(BINARY, network)["optimizer"], recipe(BINARY, network)["optimizer"]
    assert first is not second


def test_a_schedule_counts_batches_also_where_gradients_are_gathered() -> None:
    network = simple_cnn(BINARY, filters=[4])
    falling = partial(cosine, warmup="10 steps", floor=0.0)
    optimizer = recipe(BINARY, network, schedule=falling, gradient_accumulation_steps=4)["optimizer"]
    for _ in range(10):
        optimizer.apply([keras.ops.ones(w.shape) for w in network.trainable_weights], network.trainable_weights)
    assert (int(optimizer._iterations), int(optimizer.iterations)) == (10, 2)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)  # the peak is behind 10 batches, not 10 updates


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clipnorm": 1.0, "global_clipnorm": 1.0}, r"Only one of `clipnorm`.*Override: optimizer\.clipnorm=null"),
        ({"momentum": 2.0}, r"momentum.*between \[0, 1\].*Received: .*'momentum': 2.0"),
        ({"gradient_accumulation_steps": 1}, r"integer >= 2"),
        ({"use_ema": True, "ema_momentum": 1.5}, r"ema_momentum.*range \[0, 1\]"),
        ({"beta": 1.0}, "not recognized|unexpected"),
    ],
)
def test_an_optimizer_that_refuses_its_values_says_so_before_there_is_data(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=r"optimizer: SGD refused its values: .*" + said):
        module(**options)


def test_a_schedule_that_is_no_duration_is_refused_before_there_is_data() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup: should be a duration"):
        module(schedule=partial(cosine, warmup="soon"))


def test_the_loss_knows_how_many_images_there_are_of_each_class() -> None:
    made = ClassifierModule(
        network=simple_cnn,
        loss=partial(cross_entropy, class_weights="auto"),
        optimizer=partial(keras.optimizers.SGD, learning_rate=0.1),
        schedule=constant,
    )
    loss = made.compile_args(BINARY, keras.Sequential(), total_steps=1, steps_per_epoch=1)["loss"]
    half, one, none = (np.array([[value]], "float32") for value in (0.5, 1, 0))
    assert float(loss(one, half)) == pytest.approx(3 * float(loss(none, half)))
