"""The last map that knows places."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from medexp.models.class_probabilities import class_probabilities
from medexp.models.feature_map import feature_map
from medexp.models.simple_cnn import simple_cnn
from medexp.types import DataSpec, InputSpec

SPEC = DataSpec("d", "binary", ("no", "yes"), InputSpec(16, 24, 1), {}, "", "")


def test_it_is_what_is_averaged() -> None:
    network = simple_cnn(SPEC, filters=[4, 8])
    name = feature_map(network)
    assert name == "shrink2"
    images = np.random.default_rng(0).uniform(0, 255, (2, *SPEC.input.shape))
    maps, averages = keras.Model(network.input, [network.get_layer(name).output, network.get_layer("pool").output])(
        images
    )
    assert maps.shape == (2, 4, 6, 8)
    assert np.allclose(averages, np.array(maps).mean(axis=(1, 2)), atol=1e-5)


def test_it_is_found_in_what_is_served(tmp_path: Path) -> None:
    model = class_probabilities(simple_cnn(SPEC, filters=[4, 8]), task="binary")
    model.save(tmp_path / "model.keras")
    assert feature_map(keras.saving.load_model(tmp_path / "model.keras", compile=False)) == feature_map(model)
