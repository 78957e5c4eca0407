"""The gallery and the sanity check."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.evaluation.evidence import SaliencySection
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.saliency.section import Forgotten, saliency_section

N = 40
DRAW = np.random.default_rng(0)
PIXELS = DRAW.integers(0, 256, (N, 12, 16, 1), dtype=np.uint8)
LABELS = np.arange(N) % 2
SCORES = np.clip(0.25 + 0.5 * LABELS + DRAW.normal(0, 0.2, N), 0, 1)
TEST = Predictions(
    "test", tuple(f"{i}.png" for i in range(N)), LABELS, np.stack([1 - SCORES, SCORES], axis=1), ("no", "yes"), "binary"
)


def of_the_image(pixels: np.ndarray) -> np.ndarray:
    """What no training changes: how bright each part is."""
    return pixels.reshape(len(pixels), 3, 4, 4, 4).mean(axis=(2, 4))[..., np.newaxis]


def learnt(pixels: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(5).normal(size=(len(pixels), 3, 4, 1))
    return weights + 0.0 * of_the_image(pixels)


def made(
    folder: Path, maps: object = learnt, forgotten: object = (), predictions: Predictions = TEST
) -> SaliencySection:
    return saliency_section(
        predictions,
        thresholds={"yes": 0.5},
        images=lambda places: PIXELS[places],
        maps=maps,  # type: ignore[arg-type]
        method="cam",
        forgotten=forgotten or [Forgotten("all", of_the_image)],  # type: ignore[arg-type]
        folder=folder,
        count=3,
    )


def test_the_check_fails_where_random_weights_change_nothing(tmp_path: Path) -> None:
    section = made(tmp_path, of_the_image, [Forgotten("1 of 2", of_the_image), Forgotten("2 of 2", of_the_image)])
    assert section.similarity == pytest.approx(1)
    assert not section.passed


def test_the_check_fails_where_random_weights_turn_the_sign_alone(tmp_path: Path) -> None:
    def turned(pixels: np.ndarray) -> np.ndarray:
        return -of_the_image(pixels)

    section = made(tmp_path, of_the_image, [Forgotten("all", of_the_image), Forgotten("all", turned)])
    assert section.similarity == pytest.approx(1)


def test_the_check_passes_where_random_weights_change_the_map(tmp_path: Path) -> None:
    section = made(tmp_path, learnt, [Forgotten("some", learnt), Forgotten("all", of_the_image)])
    assert section.cascade["some"] == pytest.approx(1)
    assert section.similarity == section.cascade["all"] < 0.2
    assert section.passed
    assert list(section.cascade) == ["some", "all"]
    assert section.images == 32


def test_every_picture_of_the_gallery_is_there_and_says_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "of_an_earlier_evaluation.png").touch()
    section = made(tmp_path)
    shown = [each for group in section.gallery.values() for each in group]
    assert list(section.gallery) == ["surest right", "surest wrong", "least sure"]
    assert all(len(group) == 3 for kind, group in section.gallery.items() if kind != "surest wrong")
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")} == {s.picture for s in shown}
    for each in shown:
        with Image.open(tmp_path / each.picture) as picture:
            assert picture.size[0] > picture.size[1] > 200
        place = int(each.key.removesuffix(".png"))
        assert each.label == ("no", "yes")[LABELS[place]]
        assert each.answer == ("no", "yes")[int(SCORES[place] >= 0.5)]
        assert each.probability == pytest.approx(max(SCORES[place], 1 - SCORES[place]), abs=1e-6)
    assert json.loads(json.dumps(asdict(section)))["method"] == "cam"


def test_what_speaks_for_a_negative_answer_is_red(tmp_path: Path) -> None:
    """A map below 0 everywhere speaks against the finding: for `no`, against `yes`."""

    def against(pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), 3, 4, 1), -1.0) - 0.01 * of_the_image(pixels) / 255

    section = made(tmp_path, against)
    for each in section.gallery["surest right"]:
        with Image.open(tmp_path / each.picture) as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        right = pixels[60:200, pixels.shape[1] // 2 + 20 : -20].mean(axis=(0, 1))
        assert (right[0] > right[2]) == (each.answer == "no")


def test_a_model_without_errors_has_no_wrong_ones(tmp_path: Path) -> None:
    probabilities = np.eye(2)[LABELS]
    perfect = Predictions("test", TEST.keys, LABELS, probabilities, TEST.class_names, "binary")
    assert made(tmp_path, predictions=perfect).gallery["surest wrong"] == ()


def test_one_image_and_broken_maps_are_no_end_of_a_training(tmp_path: Path) -> None:
    one = Predictions("test", ("0.png",), LABELS[:1], np.array([[0.9, 0.1]]), ("no", "yes"), "binary")
    section = made(tmp_path, lambda pixels: np.full((len(pixels), 3, 4, 1), np.nan), predictions=one)
    assert (section.similarity, section.images) == (0.0, 1)
    assert [len(group) for group in section.gallery.values()] == [1, 0, 1]
