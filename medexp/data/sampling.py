"""Read images between their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def bilinear(images: Any, x: Any, y: Any) -> Any:
    """Read images at any coordinates; outside of an image stands its reflection about the edge.

    Plain gathers, which every Keras backend can compile. TensorFlow's own transform knows one matrix for each image,
    and XLA does not know it at all.

    Args:
        images: float, (batch, height, width, channels).
        x: columns to read, in pixels, (batch, height, width).
        y: rows to read, likewise.

    Returns:
        As `images`. At whole coordinates the pixels themselves, bit for bit.
    """
    batch, height, width, channels = ops.shape(images)
    x, y = _reflected(x, width), _reflected(y, height)
    left, top = ops.floor(x), ops.floor(y)
    across, down = (x - left)[..., None], (y - top)[..., None]
    left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
    right, bottom = ops.minimum(left + 1, width - 1), ops.minimum(top + 1, height - 1)
    pixels = ops.reshape(images, (-1, channels))
    first = (ops.arange(batch, dtype="int32") * (height * width))[:, None, None]

    def at(row: Any, column: Any) -> Any:
        return ops.take(pixels, first + row * width + column, axis=0)

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    return upper * (1 - down) + lower * down


def spline_basis(size: int, cells: int) -> np.ndarray:
    """Cubic B-splines of a free-form deformation (Rueckert et al., 1999): weights of control points at each pixel.

    Args:
        size: pixels of the axis.
        cells: parts into which control points divide the axis.

    Returns:
        float32, (size, cells + 3); rows sum to 1.
    """
    place = (np.arange(size) + 0.5) / size * cells
    cell = place.astype(int)
    u = place - cell
    weights = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1) / 6
    basis = np.zeros((size, cells + 3), np.float32)
    basis[np.arange(size)[:, None], cell[:, None] + np.arange(4)] = weights
    return basis


def _reflected(place: Any, size: int) -> Any:
    """Coordinates with those outside of an axis of `size` pixels mirrored into it: d c b a | a b c d | d c b a."""
    period = 2.0 * size
    inside = ops.mod(place + 0.5, period)
    return ops.clip(ops.minimum(inside, period - inside) - 0.5, 0.0, size - 1.0)
