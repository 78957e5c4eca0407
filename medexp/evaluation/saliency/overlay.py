"""A map laid over the image that it is of."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from PIL import Image

COLOURS = "RdBu_r"  # red above 0, blue below
STRONGEST = 0.7  # how much of the image a full colour hides


def overlay(image: np.ndarray, activation: np.ndarray, *, full: float) -> np.ndarray:
    """Return `image` with red where the map is above 0 and blue where it is below, the image itself where it is 0.

    Args:
        image: (height, width, 1 or 3), 0 to 255.
        activation: (rows, columns); each value stands for its part of the image, between them it is interpolated.
        full: the size of a value that has the full colour; what is larger has no more.

    Returns:
        `uint8`, (height, width, 3).
    """
    height, width = image.shape[:2]
    known = np.nan_to_num(activation.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    fine = np.asarray(Image.fromarray(known, mode="F").resize((width, height), Image.Resampling.BICUBIC))
    strength = np.clip(fine / full if full > 0 else np.zeros_like(fine), -1, 1)
    colour = colormaps[COLOURS](0.5 + strength / 2)[..., :3] * 255
    hidden = STRONGEST * np.abs(strength)[..., np.newaxis]
    return np.asarray(np.rint((1 - hidden) * rgb(image) + hidden * colour), dtype=np.uint8)


def rgb(image: np.ndarray) -> np.ndarray:
    """Return (height, width, 3), `uint8`, of an image of one channel or three, 0 to 255."""
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
