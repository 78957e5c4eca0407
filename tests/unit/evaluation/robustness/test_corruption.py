from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.evaluation.robustness import CORRUPTIONS, SEVERITIES, corrupt


def images(count: int, *, channels: int = 1, side: int = 48, dtype: str = "uint8") -> np.ndarray:
    """Smooth ones with an edge."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(rng.uniform(2, 9) * rows + rng.uniform(2, 9) * columns) for _ in range(count * channels)]
    values = 0.4 + 0.2 * np.array(waves).reshape(count, channels, side, side).transpose(0, 2, 3, 1)
    values[:, side // 4 : side // 2, side // 4 : side // 2] *= 0.3
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean() / np.iinfo(a.dtype).max)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_each_severity_is_further_from_the_image_than_the_one_before(
    corruption: str, channels: int, dtype: str
) -> None:
    clean = images(6, channels=channels, dtype=dtype)
    before = clean.copy()
    worse = [corrupt(clean, corruption=corruption, severity=severity) for severity in SEVERITIES]
    distances = [far(clean, one) for one in worse]
    assert distances == sorted(set(distances))
    assert distances[0] > 0.001
    assert all((one.dtype, one.shape) == (clean.dtype, clean.shape) for one in worse)
    assert (clean == before).all()


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_real_chest_images_get_worse_with_the_severity(corruption: str, medmnist: Path) -> None:
    with np.load(medmnist / "pneumoniamnist.npz") as arrays:
        clean = arrays["test_images"][:20, :, :, np.newaxis]
    distances = [far(clean, corrupt(clean, corruption=corruption, severity=severity)) for severity in SEVERITIES]
    assert distances == sorted(set(distances))


def test_the_same_seed_gives_the_same_noise_to_an_image_in_its_place_and_another_another() -> None:
    clean = images(4)
    noisy = corrupt(clean, corruption="noise", severity=2, seed=1)
    assert (corrupt(clean, corruption="noise", severity=2, seed=1) == noisy).all()
    assert (corrupt(clean[:2], corruption="noise", severity=2, seed=1) == noisy[:2]).all()
    assert (corrupt(clean, corruption="noise", severity=2, seed=2) != noisy).any()
    twice = np.stack([clean[0], clean[0]])
    first, second = corrupt(twice, corruption="noise", severity=2)
    assert (first != second).any()


@pytest.mark.parametrize(("side", "deviations"), [(32, (0.04, 0.10)), (224, (0.08, 0.38)), (85, (0.0566, 0.195))])
def test_noise_is_as_strong_as_published_for_the_size(side: int, deviations: tuple[float, float]) -> None:
    grey = np.full((4, side, side, 1), 32768, np.uint16)
    for severity, deviation in zip((1, 5), deviations, strict=True):
        noisy = corrupt(grey, corruption="noise", severity=severity) / 65535
        within = noisy[(noisy > 0) & (noisy < 1)]
        inner = np.percentile(noisy, [16, 84])  # not what is cut off at black and white
        assert (inner[1] - inner[0]) / 2 == pytest.approx(deviation, rel=0.06)
        assert len(within) > 0.7 * noisy.size


@pytest.mark.parametrize(("side", "deviation"), [(16, 0.5), (32, 1.0), (224, 6.0), (448, 12.0)])
def test_blur_grows_with_the_image(side: int, deviation: float) -> None:
    point = np.zeros((1, side, side, 1), np.uint16)
    point[0, side // 2, side // 2] = 65535
    blurred = corrupt(point, corruption="blur", severity=5)[0, :, :, 0].astype(float)
    rows = np.arange(side) - side // 2
    assert np.sqrt((blurred.sum(axis=1) * rows**2).sum() / blurred.sum()) == pytest.approx(deviation, rel=0.12)


def test_brightness_keeps_the_hue_and_makes_black_grey() -> None:
    colour = np.full((1, 32, 32, 3), (100, 50, 0), np.uint8)
    lighter = corrupt(colour, corruption="brightness", severity=5)[0, 0, 0].astype(int)
    assert lighter[0] == pytest.approx(100 + 0.3 * 255, abs=1)
    assert lighter[1] == pytest.approx(lighter[0] / 2, abs=1)
    assert lighter[2] == 0
    black = corrupt(np.zeros((1, 32, 32, 3), np.uint8), corruption="brightness", severity=5)
    assert (abs(black.astype(int) - 0.3 * 255) <= 1).all()


def test_compressing_changes_the_upper_bits_of_sixteen_alone() -> None:
    deep = images(2, dtype="uint16")
    worse = corrupt(deep, corruption="jpeg", severity=1)
    change = (worse.astype(int) - deep) / 257
    assert change == pytest.approx(np.rint(change), abs=0.01)
    assert len(np.unique(worse)) > 256


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Unknown corruption.*'nois'.*Did you mean 'noise'"):
        corrupt(images(1), corruption="nois", severity=1)
    with pytest.raises(ConfigError, match="Received: severity=6"):
        corrupt(images(1), corruption="noise", severity=6)
