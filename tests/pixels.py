"""Prepared images in memory, for tests of what reads them."""

from __future__ import annotations

import numpy as np

from medexp.types import InputSpec


class ArrayPixels:
    """Images of an array (n, height, width, channels), `uint8` or `uint16`."""

    def __init__(self, images: np.ndarray) -> None:
        self._images = images
        height, width, channels = images.shape[1:]
        self.input = InputSpec(height, width, channels, bits=8 * images.itemsize)

    def __len__(self) -> int:
        return len(self._images)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self._images[rows]
