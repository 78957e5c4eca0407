"""A network for chest X-rays, trained in half a minute: whom it covers, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from medexp.decision.feature_space import FeatureSpace
from medexp.evaluation.abstention import abstention_section, fit_conformal, fit_feature_space
from medexp.evaluation.predictions import Predictions
from medexp.imaging.read import read
from medexp.types import SPLITS, DataSpec, InputSpec, Split

pytestmark = pytest.mark.slow
INPUT = InputSpec(28, 28, 1)
NAMES = ("normal", "pneumonia")
REFERENCES = 2000
EPOCHS = 5


@dataclass(frozen=True)
class Chests:
    """The trained network's answers and features."""

    extract: object
    images: dict[Split, np.ndarray]
    predictions: dict[Split, Predictions]
    features: dict[Split, np.ndarray]
    space: FeatureSpace

    def refused(self, images: np.ndarray) -> float:
        features, _ = self.extract.predict(images.astype(np.float32), verbose=0)  # type: ignore[attr-defined]
        return float(self.space.refused(features).mean())


@pytest.fixture(scope="module")
def chests(medmnist: Path) -> Chests:
    import keras

    from medexp.models.simple_cnn import simple_cnn

    with np.load(medmnist / "pneumoniamnist.npz") as arrays:
        images = {split: arrays[f"{split}_images"][..., np.newaxis] for split in SPLITS}
        labels = {split: arrays[f"{split}_labels"][:, 0].astype(int) for split in SPLITS}
    keras.utils.set_random_seed(0)
    network = simple_cnn(DataSpec("pneumoniamnist", "binary", NAMES, INPUT, {}, "", ""))
    network.compile(keras.optimizers.AdamW(1e-3), keras.losses.BinaryCrossentropy())
    network.fit(images["train"], labels["train"], batch_size=32, epochs=EPOCHS, verbose=0)
    extract = keras.Model(network.input, [network.get_layer("pool").output, network.output])
    features, predictions = {}, {}
    for split in SPLITS:
        features[split], score = extract.predict(images[split].astype(np.float32), verbose=0)
        keys = tuple(f"{split}/{i}" for i in range(len(score)))
        both = np.concatenate([1 - score, score], axis=1)
        predictions[split] = Predictions(split, keys, labels[split], both, NAMES, "binary")
    some = np.random.default_rng(0).permutation(len(features["train"]))[:REFERENCES]
    space = fit_feature_space(features["train"][some], features["val"], false_refusal=0.05)
    return Chests(extract, images, predictions, features, space)


@pytest.fixture(scope="module")
def blood_cells(medmnist: Path) -> np.ndarray:
    """As the imaging path makes them for a network for chests: grey, and of its size."""
    files = sorted((medmnist.parent / "red_cells" / "images").glob("*/*.jpg"))
    if not files:
        pytest.skip("no real images: red_cells is not beside medmnist")
    some = np.random.default_rng(0).permutation(len(files))[:600]
    return np.stack([read(files[i].read_bytes(), INPUT).pixels for i in some])


def test_chests_are_refused_about_as_often_as_chosen(chests: Chests) -> None:
    assert 0.02 < chests.refused(chests.images["test"]) < 0.10


def test_blood_cells_are_refused(chests: Chests, blood_cells: np.ndarray) -> None:
    assert chests.refused(blood_cells) > 0.85


def test_other_organs_noise_and_images_without_content_are_refused(chests: Chests, medmnist: Path) -> None:
    with np.load(medmnist / "breastmnist.npz") as arrays:
        assert chests.refused(arrays["train_images"][..., np.newaxis]) > 0.9
    noise = np.random.default_rng(0).integers(0, 256, (100, *INPUT.shape), dtype=np.uint8)
    assert chests.refused(noise) == 1
    assert chests.refused(np.zeros((1, *INPUT.shape), np.uint8)) == 1
    assert chests.refused(np.full((1, *INPUT.shape), 255, np.uint8)) == 1
    assert chests.refused(255 - chests.images["test"]) > 0.7


def test_coverage_holds_on_real_chests_that_are_dealt_at_random(chests: Chests) -> None:
    """Validation and test of the official split together: there each class is exchangeable."""
    val, test = chests.predictions["val"], chests.predictions["test"]
    labels = np.concatenate([val.labels, test.labels])
    probabilities = np.concatenate([val.probabilities, test.probabilities])
    features = np.concatenate([chests.features["val"], chests.features["test"]])
    kept, covered = [], []
    for seed in range(25):
        order = np.random.default_rng(seed).permutation(len(labels))
        mine, others = order[: len(labels) // 2], order[len(labels) // 2 :]
        conformal = fit_conformal(_dealt(val, labels[mine], probabilities[mine]), coverage=0.9)
        section = abstention_section(
            _dealt(test, labels[others], probabilities[others]),
            conformal=conformal,
            space=chests.space,
            features_test=features[others],
            thresholds={"pneumonia": 0.7},
            confidence=0.95,
        )
        kept.append([section.within[name] for name in NAMES])
        covered.append([section.achieved[name].value for name in NAMES])
    assert np.mean(kept) > 0.93
    assert np.mean(covered, axis=0) == pytest.approx([0.9, 0.9], abs=0.02)


def test_the_official_test_split_is_said_not_to_be_like_validation(chests: Chests) -> None:
    """Its normal chests are harder: a known property of PneumoniaMNIST, and no promise survives it."""
    section = abstention_section(
        chests.predictions["test"],
        conformal=fit_conformal(chests.predictions["val"], coverage=0.9),
        space=chests.space,
        features_test=chests.features["test"],
        thresholds={"pneumonia": 0.7},
        confidence=0.95,
    )
    assert section.achieved["normal"].high < 0.9
    assert not section.within["normal"]
    assert not section.within["all"]
    assert section.accuracy_if_sure.value > (chests.predictions["test"].labels == _answers(chests)).mean()


def _dealt(like: Predictions, labels: np.ndarray, probabilities: np.ndarray) -> Predictions:
    return replace(like, keys=tuple(map(str, range(len(labels)))), labels=labels, probabilities=probabilities)


def _answers(chests: Chests) -> np.ndarray:
    return chests.predictions["test"].decisions({"pneumonia": 0.7})
