"""What is frozen stays, bit for bit; what is not learns."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.models.freezing import freeze
from medexp.models.simple_cnn import simple_cnn
from medexp.types import DataSpec, InputSpec

SPEC = DataSpec("d", "binary", ("no", "yes"), InputSpec(16, 16, 1), {}, "", "")
STAGES = [4, 8, 8]


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return simple_cnn(SPEC, filters=STAGES)


def trained(network: keras.Model) -> set[str]:
    """Fit a step, and name the weights that it changed."""
    before = {weight.path: np.array(weight) for weight in network.weights}
    images = np.random.default_rng(0).uniform(0, 255, (8, *SPEC.input.shape)).astype(np.float32)
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.1)
    network.compile(optimizer=optimizer, loss="binary_crossentropy", run_eagerly=True)
    network.fit(images, np.arange(8)[:, np.newaxis] % 2, verbose=0)
    return {weight.path for weight in network.weights if (np.array(weight) != before[weight.path]).any()}


def of(*layers: str) -> set[str]:
    kinds = {"conv": ["kernel"], "norm": ["gamma", "beta", "moving_mean", "moving_variance"]}
    kinds["probabilities"] = ["kernel", "bias"]
    return {f"{layer}/{weight}" for layer in layers for weight in kinds[layer.rstrip("123")]}


ALL = of("conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "probabilities")


def test_everything_learns(network: keras.Model) -> None:
    assert freeze(network, train="all", batch_norm="train") == sum(np.size(w) for w in network.trainable_weights)
    assert trained(network) == ALL


def test_the_head_alone_learns_and_no_statistics_move(network: keras.Model) -> None:
    assert freeze(network, train="head", batch_norm="train") == 8 + 1
    assert trained(network) == of("probabilities")


def test_from_a_layer_to_the_output_learns(network: keras.Model) -> None:
    count = freeze(network, train="conv3", batch_norm="train")
    assert count == 9 * 8 * 8 + 2 * 8 + 8 + 1
    assert trained(network) == of("conv3", "norm3", "probabilities")


def test_a_layer_without_weights_can_be_the_first(network: keras.Model) -> None:
    freeze(network, train="relu2", batch_norm="train")
    assert trained(network) == of("conv3", "norm3", "probabilities")


@pytest.mark.parametrize(
    ("share", "layers"),
    [
        (0.01, ["probabilities"]),
        (2 / 7, ["norm3", "probabilities"]),
        (0.3, ["conv3", "norm3", "probabilities"]),
        (1.0, ["conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "probabilities"]),
    ],
)
def test_a_share_counts_layers_with_weights_from_the_output(
    share: float, layers: list[str], network: keras.Model
) -> None:
    freeze(network, train=share, batch_norm="train")
    assert trained(network) == of(*layers)


def test_frozen_batch_normalisation_keeps_scales_and_statistics_where_the_rest_learns(network: keras.Model) -> None:
    freeze(network, train="conv2", batch_norm="freeze")
    assert trained(network) == of("conv2", "conv3", "probabilities")


def test_a_later_phase_thaws_what_an_earlier_one_froze(network: keras.Model) -> None:
    freeze(network, train="head", batch_norm="freeze")
    trained(network)
    freeze(network, train="all", batch_norm="train")
    assert trained(network) == ALL


def test_an_unknown_layer_is_told_with_what_there_is_and_the_key(network: keras.Model) -> None:
    with pytest.raises(ConfigError) as caught:
        freeze(network, train="conv33", batch_norm="train", key="finetuning.phases.top.train")
    assert str(caught.value).startswith("finetuning.phases.top.train: Unknown layer of simple_cnn. Received: 'conv33'.")
    assert "all, conv1, conv2, conv3," in str(caught.value)
    assert "Did you mean 'conv3'?" in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 1.5, -0.1])
def test_a_share_is_more_than_nothing_and_at_most_all(share: float, network: keras.Model) -> None:
    with pytest.raises(ConfigError, match=r"above 0 and at most 1.*Override: finetuning\.phases"):
        freeze(network, train=share, batch_norm="train")
