"""Make images worse, by five degrees (Hendrycks and Dietterich, ICLR 2019)."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medexp.errors import ConfigError, unknown

SEVERITIES = (1, 2, 3, 4, 5)
_SMALL, _LARGE = 32, 224  # pixels a side that the paper has strengths for: CIFAR-10-C and ImageNet-C


@dataclass(frozen=True)
class _Corruption:
    """What is done to values from 0 to 1, (height, width, channels), and how strongly for small and large images.

    Args:
        apply: from values, strength and a generator to values; may leave the range.
        small: strengths by severity at 32 pixels.
        large: likewise at 224.
        in_pixels: whether the strength is a length: then it goes on growing with the image.
    """

    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    small: tuple[float, ...]
    large: tuple[float, ...]
    in_pixels: bool = False

    def strength(self, severity: int, *, side: float) -> float:
        """Return that of a severity: between the two published sizes on a logarithmic scale."""
        share = min(max(math.log(side / _SMALL) / math.log(_LARGE / _SMALL), 0.0), 1.0)
        small, large = self.small[severity - 1], self.large[severity - 1]
        beyond = side / min(max(side, _SMALL), _LARGE) if self.in_pixels else 1.0
        return float(small ** (1 - share) * large**share * beyond)


def corrupt(images: np.ndarray, *, corruption: str, severity: int, seed: int = 0) -> np.ndarray:
    """Return `images` made worse, of the same type and shape; the same seed gives the same.

    - `noise`: Gaussian, of each value; one image has the same noise at every severity, only stronger.
    - `blur`: Gaussian.
    - `brightness`: lighter; hue and saturation stay.
    - `jpeg`: compressed. Of 16 bits, what compressing the upper eight does to them is done.

    Strengths are those of the paper for images of 32 and of 224 pixels a side, and between these for others.

    Args:
        images: prepared, `uint8` or `uint16`, (n, height, width, channels), of 1 or 3 channels.
        corruption: one of these.
        severity: 1 to 5.
        seed: of the noise; that of an image depends on its place, and not on how many there are.

    Raises:
        ConfigError: no such corruption or severity.
    """
    if corruption not in CORRUPTIONS:
        raise ConfigError(f"{unknown('corruption', corruption, CORRUPTIONS)} Override: evaluation.corruptions=[noise]")
    if severity not in SEVERITIES:
        raise ConfigError(f"A severity is a whole number from 1 to 5. Received: severity={severity!r}.")
    how = CORRUPTIONS[corruption]
    strength = how.strength(severity, side=math.sqrt(images.shape[1] * images.shape[2]))
    top = np.iinfo(images.dtype).max
    worse = np.empty_like(images)
    for i, image in enumerate(images):
        values = how.apply(image.astype(np.float64) / top, strength, np.random.default_rng([seed, i]))
        worse[i] = np.rint(np.clip(values, 0, 1) * top)
    return worse


def _noise(values: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(values + rng.normal(0, deviation, values.shape))


def _blur(values: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, (deviation, deviation, 0), mode="nearest"))


def _brightness(values: np.ndarray, more: float, rng: np.random.Generator) -> np.ndarray:
    """The largest channel (V of HSV) is raised, the others in proportion; black becomes grey."""
    value = values.max(axis=-1, keepdims=True)
    raised = np.clip(value + more, 0, 1)
    return np.asarray(np.where(value > 0, values * (raised / np.where(value > 0, value, 1)), raised))


def _jpeg(values: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    coarse = np.rint(values * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse[:, :, 0] if coarse.shape[2] == 1 else coarse).save(file, "JPEG", quality=round(quality))
    with Image.open(file) as compressed:
        decoded = np.asarray(compressed).reshape(coarse.shape)
    return np.asarray(values + (decoded.astype(np.float64) - coarse) / 255)


CORRUPTIONS = {
    "noise": _Corruption(_noise, (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "blur": _Corruption(_blur, (0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6), in_pixels=True),
    "brightness": _Corruption(_brightness, (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "jpeg": _Corruption(_jpeg, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
}
