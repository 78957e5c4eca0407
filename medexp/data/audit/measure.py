"""One pass over the pixels: everything that the checks want to know of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medexp.data.dataset import Dataset

GREY_SIDE = 32
TINY_SIDE = 16
_BLOCK_BYTES = 2**25
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Measured:
    """What one pass over the prepared pixels gives; arrays of length n, NaN where an image cannot be read.

    Args:
        readable: whether the image could be read, bool.
        grey: the image in grey without the padding of a letterbox, reduced by area, float32 (n, 32, 32), from 0 to 255.
        tiny: the image in its own channels, reduced by area, float32 (n, 16, 16, channels), from 0 to 255.
        mean: of all pixels, from 0 to 255.
        deviation: of all pixels.
        border_mean: of a strip along the four edges, 4 % of the side wide.
        border_deviation: of the same strip.
    """

    readable: np.ndarray
    grey: np.ndarray
    tiny: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    border_mean: np.ndarray
    border_deviation: np.ndarray


def measure(dataset: Dataset) -> Measured:
    """Read every image once, in blocks of 32 MB, and return what the checks need."""
    n, channels = len(dataset.keys), dataset.pixels.input.channels
    readable = np.asarray(dataset.facts.pixels != "")
    grey = np.full((n, GREY_SIDE, GREY_SIDE), np.nan, np.float32)
    tiny = np.full((n, TINY_SIDE, TINY_SIDE, channels), np.nan, np.float32)
    mean, deviation, border_mean, border_deviation = np.full((4, n), np.nan, np.float32)
    height, width = dataset.pixels.input.height, dataset.pixels.input.width
    reduce_rows, reduce_columns = area_weights(height, GREY_SIDE), area_weights(width, GREY_SIDE).T
    halve = area_weights(GREY_SIDE, TINY_SIDE)
    border = _border(height, width)
    luma = np.asarray(_LUMA if channels == 3 else (1.0,), np.float32)
    scale = np.float32(255 / np.iinfo(np.dtype(dataset.pixels.input.dtype)).max)
    boxes = _content_boxes(dataset)
    rows = np.flatnonzero(readable)
    step = max(1, _BLOCK_BYTES // (4 * height * width * channels))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        pixels = dataset.pixels.take(block).astype(np.float32) * scale
        flat = pixels.reshape(len(block), -1)
        mean[block] = flat.mean(axis=1)
        deviation[block] = np.sqrt(np.maximum(np.einsum("ij,ij->i", flat, flat) / flat.shape[1] - mean[block] ** 2, 0))
        strip = flat.reshape(len(block), height * width, channels)[:, border].reshape(len(block), -1)
        border_mean[block], border_deviation[block] = strip.mean(axis=1), strip.std(axis=1)
        planes = np.moveaxis(pixels, 3, 1)  # (images, channels, height, width)
        small = reduce_rows @ planes @ reduce_columns
        grey[block] = np.einsum("nchw,c->nhw", _without_padding(planes, small, boxes[block]), luma)
        tiny[block] = np.moveaxis(halve @ small @ halve.T, 1, 3)
    return Measured(readable, grey, tiny, mean, deviation, border_mean, border_deviation)


def _content_boxes(dataset: Dataset) -> np.ndarray:
    """Height and width of what is not padding in the prepared images, int (n, 2)."""
    spec, facts = dataset.pixels.input, dataset.facts
    whole = np.tile([spec.height, spec.width], (len(dataset.keys), 1))
    if spec.fit != "letterbox":
        return whole
    sides = np.maximum(np.stack([facts.height, facts.width], axis=1).astype(np.float64), 1)
    factor = (whole / sides).min(axis=1, keepdims=True)
    return np.asarray(np.clip(np.rint(sides * factor), 1, whole), dtype=np.int64)


def _without_padding(planes: np.ndarray, small: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The same as `small`, of the middle that is not padding: padding is alike in all images of one shape."""
    height, width = planes.shape[2:]
    small = small.copy()
    for box in np.unique(boxes, axis=0):
        if tuple(box) == (height, width):
            continue
        chosen = np.flatnonzero((boxes == box).all(axis=1))
        top, left = (height - box[0]) // 2, (width - box[1]) // 2
        content = planes[chosen, :, top : top + box[0], left : left + box[1]]
        small[chosen] = area_weights(box[0], GREY_SIDE) @ content @ area_weights(box[1], GREY_SIDE).T
    return small


def area_weights(source: int, target: int) -> np.ndarray:
    """Return the matrix, float32 (target, source), that averages `source` pixels over `target` equal stretches."""
    edges = np.linspace(0, source, target + 1)
    pixel = np.arange(source)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(overlap, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _border(height: int, width: int) -> np.ndarray:
    """Indices, into a flattened image, of the strip along the edges."""
    strip = max(1, round(0.04 * min(height, width)))
    inside = np.zeros((height, width), bool)
    inside[strip : height - strip, strip : width - strip] = True
    return np.flatnonzero(~inside)
