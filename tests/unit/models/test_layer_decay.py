"""Updates by layer, against a hand computation; which variables decay."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.models.layer_depth import layer_depths
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.weight_decay import decays
from medexp.training.schedules import constant
from medexp.types import DataSpec, InputSpec

RATE, DECAY, SHARE = 0.1, 0.2, 0.5
SPEC = DataSpec("d", "binary", ("a", "b"), InputSpec(4, 4, 1), {"train": {"a": 1, "b": 1}}, "", "")
GRADIENTS = (0.5, -2.0, 0.25, 0.25)  # of each step
State = dict[str, float]


def chain(spec: DataSpec = SPEC) -> keras.Model:
    """Three layers: the first has half the rate of the second, and that half the rate of the head."""
    image = keras.Input(spec.input.shape)
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(3, name="first", bias_initializer="ones")(x)
    x = keras.layers.Dense(2, name="second", bias_initializer="ones")(x)
    return keras.Model(image, keras.layers.Dense(spec.outputs, activation="sigmoid", name="head", dtype="float32")(x))


def adamw(w: float, g: float, lr: float, wd: float, t: int, state: State) -> float:
    w -= w * wd * lr
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * g * g
    return w - lr * (state["m"] / (1 - 0.9**t)) / (np.sqrt(state["v"] / (1 - 0.999**t)) + 1e-7)


def sgd(w: float, g: float, lr: float, wd: float, t: int, state: State) -> float:
    w -= w * wd * lr
    state["m"] = 0.9 * state.get("m", 0.0) - lr * g
    return w + 0.9 * state["m"] - lr * g


def lion(w: float, g: float, lr: float, wd: float, t: int, state: State) -> float:
    w -= w * wd * lr
    momentum = state.get("m", 0.0)
    state["m"] = 0.99 * momentum + 0.01 * g
    return w - lr * float(np.sign(0.9 * momentum + 0.1 * g))


OPTIMIZERS: dict[str, tuple[Callable[..., keras.Optimizer], Callable[..., float]]] = {
    "adamw": (keras.optimizers.AdamW, adamw),
    "sgd": (partial(keras.optimizers.SGD, momentum=0.9, nesterov=True), sgd),
    "lion": (keras.optimizers.Lion, lion),
}


def module(kind: Callable[..., keras.Optimizer], layer_decay: float | None = SHARE, **options: Any) -> ClassifierModule:
    fixed = kind.keywords if isinstance(kind, partial) else {}
    kind = kind.func if isinstance(kind, partial) else kind
    optimizer = partial(kind, **{"learning_rate": RATE, "weight_decay": DECAY, **fixed, **options})
    return ClassifierModule(
        network=chain, loss=cross_entropy, optimizer=optimizer, schedule=constant, layer_decay=layer_decay
    )


def prepared(kind: Callable[..., keras.Optimizer], **options: Any) -> tuple[keras.Model, keras.Optimizer]:
    """A network whose weights are 1, and its optimizer."""
    network = chain()
    for weight in network.weights:
        weight.assign(np.ones(weight.shape))
    recipe = module(kind, **options).compile_args(SPEC, network, total_steps=10, steps_per_epoch=5)
    return network, recipe["optimizer"]


def step(network: keras.Model, optimizer: keras.Optimizer, gradient: float) -> None:
    gradients = [keras.ops.full(weight.shape, gradient) for weight in network.trainable_weights]
    optimizer.apply(gradients, network.trainable_weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_layer_moves_and_decays_by_its_share_of_the_learning_rate(name: str) -> None:
    kind, by_hand = OPTIMIZERS[name]
    network, optimizer = prepared(kind)
    wanted = {(layer, wd): 1.0 for layer in ("first", "second", "head") for wd in (0.0, DECAY)}
    states: dict[tuple[str, float], State] = {key: {} for key in wanted}
    for t, gradient in enumerate(GRADIENTS, 1):
        step(network, optimizer, gradient)
        for depth, layer in enumerate(("head", "second", "first")):
            for wd, weight in ((DECAY, network.get_layer(layer).kernel), (0.0, network.get_layer(layer).bias)):
                key = (layer, wd)
                wanted[key] = by_hand(wanted[key], gradient, RATE * SHARE**depth, wd, t, states[key])
                found = keras.ops.convert_to_numpy(weight)
                assert found == pytest.approx(np.full(found.shape, wanted[key]), rel=1e-4), (key, t)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_share_of_1_is_the_optimizer_without(name: str) -> None:
    kind, _ = OPTIMIZERS[name]
    (one, with_share), (other, without) = prepared(kind, layer_decay=1.0), prepared(kind, layer_decay=None)
    for gradient in GRADIENTS:
        step(one, with_share, gradient)
        step(other, without, gradient)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert a == pytest.approx(b, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_that_of_the_optimizer_without_and_restores(name: str) -> None:
    kind, _ = OPTIMIZERS[name]
    options = {"use_ema": True, "gradient_accumulation_steps": 2}
    network, optimizer = prepared(kind, **options)
    for gradient in GRADIENTS[:3]:  # in the middle of gathering two gradients
        step(network, optimizer, gradient)
    plain, stock = prepared(kind, layer_decay=None, **options)
    stock.build(plain.trainable_weights)
    assert [v.path.split("/")[-1] for v in optimizer.variables] == [v.path.split("/")[-1] for v in stock.variables]
    again, restored = prepared(kind, **options)
    restored.build(again.trainable_weights)
    again.set_weights(network.get_weights())
    for variable, saved in zip(restored.variables, optimizer.variables, strict=True):
        variable.assign(saved)
    step(network, optimizer, GRADIENTS[3])
    step(again, restored, GRADIENTS[3])
    for a, b in zip(network.get_weights(), again.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_gathered_gradients_make_one_step_of_their_mean() -> None:
    (network, gathering), (other, once) = prepared(keras.optimizers.AdamW, gradient_accumulation_steps=2), prepared(
        keras.optimizers.AdamW
    )  # fmt: skip
    step(network, gathering, 0.2)
    assert all((weight == 1).all() for weight in network.get_weights())
    step(network, gathering, 0.6)
    step(other, once, 0.4)
    for a, b in zip(network.get_weights(), other.get_weights(), strict=True):
        assert a == pytest.approx(b, rel=1e-6)


def test_the_moving_average_is_one_of_the_shared_out_steps() -> None:
    network, optimizer = prepared(keras.optimizers.SGD, use_ema=True, ema_momentum=0.75)
    average = {}
    for t, gradient in enumerate(GRADIENTS):
        step(network, optimizer, gradient)
        for weight in network.trainable_weights:
            now = keras.ops.convert_to_numpy(weight)
            average[weight.path] = now if t == 0 else 0.75 * average[weight.path] + 0.25 * now
    optimizer.finalize_variable_values(network.trainable_weights)
    for weight in network.trainable_weights:
        assert keras.ops.convert_to_numpy(weight) == pytest.approx(average[weight.path], rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_fit_scales_the_steps_in_every_precision(precision: str) -> None:
    keras.config.set_dtype_policy(precision)
    try:
        moved = {}
        for share in (0.5, 1.0):
            keras.utils.set_random_seed(0)
            network = chain()
            before = [keras.ops.convert_to_numpy(w) for w in network.trainable_weights]
            made = module(keras.optimizers.Lion, layer_decay=share, weight_decay=0.0)
            network.compile(**made.compile_args(SPEC, network, total_steps=1, steps_per_epoch=1))
            scaled = type(network.optimizer).__name__ == "LossScaleOptimizer"
            assert scaled == (precision == "mixed_float16")
            network.fit(np.ones((2, 4, 4, 1)), np.ones((2, 1)), verbose=0)
            after = [keras.ops.convert_to_numpy(w) for w in network.trainable_weights]
            moved[share] = [np.abs(a - b).max() for a, b in zip(after, before, strict=True)]
    finally:
        keras.config.set_dtype_policy("float32")
    assert moved[1.0] == pytest.approx([RATE] * 6, rel=1e-3)
    assert moved[0.5] == pytest.approx([RATE * s for s in (0.25, 0.25, 0.5, 0.5, 1, 1)], rel=1e-3)


def test_the_callback_that_sets_the_rate_sets_the_rate_of_all_layers() -> None:
    network, optimizer = prepared(keras.optimizers.SGD, weight_decay=None)
    optimizer.learning_rate = RATE / 10
    step(network, optimizer, 1.0)
    moved = [1 - float(keras.ops.max(w)) for w in network.trainable_weights]
    assert moved == pytest.approx([RATE / 10 * s for s in (0.25, 0.25, 0.5, 0.5, 1, 1)], rel=1e-4)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=rf"finetuning\.layer_decay.*Received: {share}.*Override"):
        module(keras.optimizers.SGD, layer_decay=share)


def residual() -> keras.Model:
    """A norm in front, a stem, a residual block of two convolutions beside a third, a head."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Normalization(name="standardise")(image)
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(x)
    x = keras.layers.BatchNormalization(name="stem_norm")(x)
    y = keras.layers.Conv2D(4, 3, padding="same", name="inner1")(x)
    y = keras.layers.BatchNormalization(name="inner_norm")(y)
    y = keras.layers.Conv2D(4, 3, padding="same", name="inner2")(y)
    x = keras.layers.Add(name="join")([y, keras.layers.Conv2D(4, 1, name="shortcut")(x)])
    x = keras.layers.BatchNormalization(name="block_norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.ops.relu(x))
    return keras.Model(image, keras.layers.Dense(1, name="head")(x))


def test_a_residual_block_is_one_step_and_norms_belong_to_what_is_before_them() -> None:
    depths = {weight.path.split("/")[0]: depth for weight, depth in layer_depths(residual())}
    assert depths == {
        "standardise": 2, "stem": 2, "stem_norm": 2,
        "inner1": 1, "inner_norm": 1, "inner2": 1, "shortcut": 1, "block_norm": 1, "head": 0,
    }  # fmt: skip


def test_every_weight_has_a_depth_frozen_or_not() -> None:
    network = residual()
    network.get_layer("stem").trainable = False
    assert {id(w) for w, _ in layer_depths(network)} == {id(w) for w in network.weights}
    assert max(depth for _, depth in layer_depths(network)) == 2


def test_the_blocks_of_a_published_network_are_its_steps() -> None:
    resnet = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), include_top=False)
    assert 1 + max(depth for _, depth in layer_depths(resnet)) == 1 + 16  # stem and blocks


def test_a_share_of_1_is_the_head_of_a_network_with_operations_behind_it() -> None:
    image = keras.Input((4, 4, 1))
    x = keras.layers.Dense(2, name="body")(keras.layers.Flatten()(image))
    x = keras.layers.Dense(2, activation="log_sigmoid", name="conditional")(x)
    network = keras.Model(image, keras.layers.Activation("exponential")(keras.ops.cumsum(x, axis=-1)))
    assert {w.path.split("/")[0]: depth for w, depth in layer_depths(network)} == {"body": 1, "conditional": 0}


def test_norms_biases_and_embeddings_do_not_decay() -> None:
    image = keras.Input((4, 6))
    x = keras.layers.Dense(8, name="patch_embedding")(image)
    x = x + keras.layers.Embedding(4, 8, name="position_embedding")(keras.ops.arange(4)[None])
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    network = keras.Model(image, keras.layers.BatchNormalization(name="last_norm")(x))
    decaying = {weight.path for weight in network.trainable_weights if decays(weight)}
    wanted = {w.path for w in network.trainable_weights if w.name == "kernel"}
    assert decaying == wanted
    assert len(wanted) == 1 + 4
    biases = [w for w in network.trainable_weights if w.name == "bias"]
    assert any(len(bias.shape) == 2 for bias in biases)  # those of attention are matrices
