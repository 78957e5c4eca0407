"""Prepared pixels as a network gets them."""

from __future__ import annotations

import numpy as np


def scale(pixels: np.ndarray) -> np.ndarray:
    """Return pixels on the scale from 0 to 255: `uint8` as they are, `uint16` as `float32` divided by 257."""
    return pixels.astype(np.float32) / np.float32(257) if pixels.dtype == np.uint16 else pixels
