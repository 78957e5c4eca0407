from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.evaluation.evidence import RobustnessSection
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.robustness import draw_corruptions, draw_robustness, robustness_section

AT = {"pneumonia": 0.5}


@pytest.fixture(scope="module")
def chests(medmnist: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(medmnist / "pneumoniamnist.npz") as arrays:
        return arrays["test_images"][:150, :, :, np.newaxis], arrays["test_labels"][:150, 0].astype(int)


def texture(images: np.ndarray) -> np.ndarray:
    """A model of one weight: pneumonia is where neighbouring pixels differ less."""
    differences = np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2, 3))
    score = 1 / (1 + np.exp(differences - 11))
    return np.stack([1 - score, score], axis=1)


def measured(
    chests: tuple[np.ndarray, np.ndarray], *corruptions: str, resamples: int = 50
) -> tuple[RobustnessSection, list[np.ndarray]]:
    images, labels = chests
    seen: list[np.ndarray] = []

    def predict(worse: np.ndarray) -> np.ndarray:
        seen.append(worse)
        return texture(worse)

    keys = tuple(map(str, range(len(labels))))
    clean = Predictions("test", keys, labels, texture(images), ("normal", "pneumonia"), "binary")
    found = robustness_section(
        images, clean, predict=predict, corruptions=corruptions, thresholds=AT, resamples=resamples, confidence=0.9
    )
    return found, seen


def test_a_model_is_measured_on_each_corruption_at_five_severities(chests: tuple[np.ndarray, np.ndarray]) -> None:
    found, seen = measured(chests, "noise", "blur", "noise")
    assert [(c.corruption, c.severity) for c in found.corrupted] == [
        (name, severity) for name in ("noise", "blur") for severity in (1, 2, 3, 4, 5)
    ]
    assert found.images == 150
    assert all(worse.shape == chests[0].shape and (worse != chests[0]).any() for worse in seen)
    aucs = [found.clean["auc"].value] + [c.metrics["auc"].value for c in found.corrupted[:5]]
    assert aucs[0] > 0.6
    noisy = [c.metrics["sensitivity"].value for c in found.corrupted[:5]]
    assert noisy == sorted(noisy, reverse=True)  # noise is texture: nobody has pneumonia any more
    assert found.clean["sensitivity"].value > noisy[-1] + 0.3
    smooth = [c.metrics["specificity"].value for c in found.corrupted[5:]]
    assert found.clean["specificity"].value > smooth[-1] + 0.2
    estimate = found.corrupted[0].metrics["auc"]
    assert estimate.low < estimate.value < estimate.high


def test_without_corruptions_the_clean_images_are_measured_alone(chests: tuple[np.ndarray, np.ndarray]) -> None:
    found, seen = measured(chests)
    assert found.corrupted == ()
    assert not seen
    assert found.clean["auc"].value > 0.6


@pytest.mark.filterwarnings("error")
def test_pictures_show_the_curves_and_what_was_done(chests: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    def opened(path: Path) -> tuple[int, int]:
        with Image.open(path) as image:
            assert image.format == "PNG"
            return image.size

    draw_robustness(measured(chests, "noise", "jpeg")[0], tmp_path / "new" / "curves.png")
    first = (tmp_path / "new" / "curves.png").read_bytes()
    draw_robustness(measured(chests, "noise", "blur")[0], tmp_path / "new" / "curves.png")
    assert (tmp_path / "new" / "curves.png").read_bytes() != first
    width, height = opened(tmp_path / "new" / "curves.png")
    assert width > 2 * height
    draw_corruptions(chests[0][0], tmp_path / "seen.png", corruptions=["noise", "blur", "brightness", "jpeg"])
    assert opened(tmp_path / "seen.png")[0] > 1000
    draw_corruptions(np.repeat(chests[0][0], 3, axis=2), tmp_path / "colour.png", corruptions=["brightness"])
    assert opened(tmp_path / "colour.png")[0] > 1000


def test_a_measurement_without_intervals_is_drawn(chests: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    found, _ = measured(chests, "blur", resamples=0)
    assert found.clean["auc"].low == found.clean["auc"].high
    draw_robustness(found, tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()
