"""Small pictures of images, as they stand in a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np

from medexp.data.dataset import Dataset

_SIDE = 128


def thumbnails(dataset: Dataset, rows: Sequence[int]) -> dict[int, str]:
    """Return for each row that can be read a `data:` address of a PNG of at most 128 pixels a side."""
    from PIL import Image

    chosen = np.unique([row for row in rows if dataset.facts.pixels[row] != ""]).astype(int)
    pictures = {}
    for start in range(0, len(chosen), 64):
        block = chosen[start : start + 64]
        for row, pixels in zip(block, dataset.pixels.take(block), strict=True):
            if pixels.dtype == np.uint16:
                pixels = np.rint(pixels / 257).astype(np.uint8)
            image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            image.thumbnail((_SIDE, _SIDE))
            image.save(file := io.BytesIO(), "PNG", optimize=False)
            pictures[int(row)] = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return pictures
