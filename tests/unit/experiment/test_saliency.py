"""Where a network that was trained on chest X-rays looks."""

from __future__ import annotations

import logging
from pathlib import Path

import keras
import numpy as np
import pytest

from medexp.evaluation.evidence import SaliencySection
from medexp.evaluation.predictions import Predictions
from medexp.experiment.saliency import saliency
from medexp.models.calibrated import calibrated
from medexp.models.class_probabilities import class_probabilities
from medexp.models.simple_cnn import simple_cnn
from medexp.types import Calibration, DataSpec, InputSpec, Split

NAMES = ("normal", "pneumonia")
SPEC = DataSpec("pneumoniamnist", "binary", NAMES, InputSpec(28, 28, 1), {}, "", "")
THRESHOLDS = {"pneumonia": 0.6}


class TestImages:
    """The test split of a data module."""

    __test__ = False

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def images(self, split: Split, places: np.ndarray) -> np.ndarray:
        assert split == "test"
        return self.pixels[places]


def section_of(network: keras.Model, pixels: np.ndarray, labels: np.ndarray, folder: Path) -> SaliencySection:
    said = class_probabilities(network, task="binary").predict(pixels.astype(np.float32), verbose=0)
    test = Predictions("test", tuple(f"{i}.png" for i in range(len(labels))), labels, said, NAMES, "binary")
    data = TestImages(pixels)
    return saliency(network, test, data, thresholds=THRESHOLDS, folder=folder, count=2)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def chest(medmnist: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(medmnist / "pneumoniamnist.npz") as arrays:
        return arrays["test_images"][:100, ..., np.newaxis], arrays["test_labels"][:100].ravel().astype(int)


@pytest.mark.parametrize("method", ["none", "isotonic"])
def test_the_maps_of_a_trained_network_show_what_it_has_learnt(
    method: str, medmnist: Path, chest: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    with np.load(medmnist / "pneumoniamnist.npz") as arrays:
        pixels, labels = arrays["train_images"][:1000, ..., np.newaxis], arrays["train_labels"][:1000]
    keras.utils.set_random_seed(0)
    network = simple_cnn(SPEC, filters=[16, 32])
    network.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    network.fit(pixels.astype(np.float32), labels, epochs=3, batch_size=50, verbose=0)
    if method == "isotonic":
        knots = (((0.0, 0.0), (0.4, 0.6), (1.0, 1.0)),)
        network = calibrated(network, task="binary", calibration=Calibration("isotonic", knots=knots))
    section = section_of(network, *chest, tmp_path)
    assert section.method == "cam"
    assert section.passed
    assert list(section.cascade) == ["1 of 5 layers", "2 of 5 layers", "5 of 5 layers"]
    assert section.cascade["5 of 5 layers"] == section.similarity < section.cascade["1 of 5 layers"] + 0.3
    assert all((tmp_path / each.picture).is_file() for group in section.gallery.values() for each in group)
    assert len(section.gallery["surest right"]) == 2


def test_a_network_whose_map_is_of_the_image_alone_is_found_out(
    chest: tuple[np.ndarray, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its weights begin as an edge detector and stay one: random weights are the same again."""
    image = keras.Input((28, 28, 1))
    edges = keras.initializers.Constant(np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[..., np.newaxis, np.newaxis])
    x = keras.layers.Conv2D(1, 3, strides=2, kernel_initializer=edges, activation="relu", name="edges")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    answer = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones", name="probabilities")(x)
    with caplog.at_level(logging.WARNING):
        section = section_of(keras.Model(image, answer), *chest, tmp_path)
    assert section.similarity == pytest.approx(1)
    assert not section.passed
    assert "they show the image more than what was learnt" in caplog.text
