"""Networks that forget, from the output downwards."""

from __future__ import annotations

import random

import keras
import numpy as np

from medexp.models.randomised import cascade
from medexp.models.simple_cnn import simple_cnn
from medexp.types import DataSpec, InputSpec

SPEC = DataSpec("d", "ordinal", ("a", "b", "c"), InputSpec(16, 16, 1), {}, "", "")
LAYERS = ["conv1", "norm1", "conv2", "norm2", "conditional"]


def trained() -> keras.Model:
    keras.utils.set_random_seed(0)
    network = simple_cnn(SPEC, filters=[4, 8])
    network.set_weights([weight + 3 for weight in network.get_weights()])
    return network


def kept(network: keras.Model, other: keras.Model) -> list[str]:
    """The layers whose weights are the same."""
    return [
        name
        for name in LAYERS
        if all(
            (a == b).all()
            for a, b in zip(network.get_layer(name).get_weights(), other.get_layer(name).get_weights(), strict=True)
        )
    ]


def test_layers_forget_from_the_output_downwards() -> None:
    network = trained()
    steps = [
        (step.random, step.layers, kept(network, step.network))
        for step in cascade(network, shares=[0, 0.4, 1], seeds=[0])
    ]
    assert steps == [(1, 5, LAYERS[:4]), (2, 5, LAYERS[:3]), (5, 5, [])]


def test_what_is_forgotten_is_as_it_was_before_any_training() -> None:
    (step,) = cascade(trained(), shares=[1], seeds=[0])
    gamma, beta, mean, variance = step.network.get_layer("norm2").get_weights()
    assert all((value == wanted).all() for value, wanted in ((gamma, 1), (beta, 0), (mean, 0), (variance, 1)))
    kernel = step.network.get_layer("conv2").get_weights()[0]
    limit = np.sqrt(6 / (9 * 4 + 9 * 8))  # Glorot's
    assert np.abs(kernel).max() <= limit
    assert kernel.std() > 0.4 * limit


def test_each_seed_has_other_weights_and_the_same_again() -> None:
    def kernels(*seeds: int) -> list[np.ndarray]:
        steps = cascade(trained(), shares=[0.2, 1], seeds=seeds)
        return [np.asarray(step.network.get_layer("conv1").get_weights()[0]) for step in steps if step.random == 5]

    first, second = kernels(1, 2)
    again, _ = kernels(1, 3)
    assert (first == again).all()
    assert (first != second).all()


def test_the_weights_are_not_those_that_a_training_of_the_same_seed_began_with() -> None:
    keras.utils.set_random_seed(0)
    network = simple_cnn(SPEC, filters=[4, 8])
    (step,) = cascade(network, shares=[1], seeds=[0])
    assert not {"conv1", "conv2", "conditional"} & set(kept(network, step.network))


def test_the_network_itself_and_the_random_numbers_of_others_stay() -> None:
    network = trained()
    before, numbers = network.get_weights(), random.getstate()
    for _ in cascade(network, shares=[1], seeds=[0]):
        pass
    assert all((a == b).all() for a, b in zip(before, network.get_weights(), strict=True))
    assert random.getstate() == numbers


def test_statistics_that_pixels_are_scaled_by_stay() -> None:
    image = keras.Input((8, 8, 1))
    scaling = keras.layers.Normalization(axis=None, name="scaling")
    x = keras.layers.Conv2D(2, 3, name="conv")(scaling(image))
    network = keras.Model(image, x)
    scaling.adapt(np.random.default_rng(0).normal(7, 3, (20, 8, 8, 1)))
    before = np.asarray(scaling(np.full((1, 8, 8, 1), 10.0, np.float32)))
    (step,) = cascade(network, shares=[1], seeds=[0])
    after = np.asarray(step.network.get_layer("scaling")(np.full((1, 8, 8, 1), 10.0, np.float32)))
    assert (before == after).all()
    assert abs(before[0, 0, 0, 0] - 1) < 0.1
