"""Fit decoded pixels to what a network sees: channels, size, bits. The only resize of the project."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from medexp.types import InputSpec

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's own


def prepare(pixels: np.ndarray | Image.Image, spec: InputSpec) -> np.ndarray:
    """Return `pixels` as `spec` wants them.

    Args:
        pixels: `uint8` or `uint16`, shape (height, width), (height, width, 1) or (height, width, 3); or a Pillow
            image of mode L or RGB.
        spec: the size, channels, fit and bits wanted.

    Returns:
        `spec.dtype`, shape `spec.shape`; the array may be read-only. Colour becomes grey by ITU-R 601 luma; grey is
        repeated for colour.
        Resizing is bilinear and antialiased (Pillow widens the kernel when it shrinks); pixels of the right size are
        not changed. 8 bits become 16 by 257 (255 is 65535); 16 bits become 8 last, rounded once.
    """
    if isinstance(pixels, np.ndarray):
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        if pixels.dtype == np.uint16:
            return _wide(pixels, spec)
        pixels = Image.fromarray(pixels)
    if spec.bits == 16:
        return _wide(pixels, spec)
    mode = "L" if spec.channels == 1 else "RGB"
    image = pixels if pixels.mode == mode else pixels.convert(mode)
    return np.asarray(_fitted(image, spec)).reshape(spec.shape)


def _wide(pixels: np.ndarray | Image.Image, spec: InputSpec) -> np.ndarray:
    """As `prepare`, a channel at a time in floating point: three of a large image at once would take a gibibyte."""
    fitted = np.stack([np.asarray(_fitted(band.convert("F"), spec)) for band in _bands(pixels)], axis=-1)
    if spec.channels == 1 and fitted.shape[2] == 3:
        fitted = fitted @ np.array(LUMA, np.float32)[:, np.newaxis]
    levels = fitted * np.float32(1 if isinstance(pixels, np.ndarray) else 257)
    top, levels = (255, levels / np.float32(257)) if spec.bits == 8 else (65535, levels)
    return np.ascontiguousarray(np.broadcast_to(np.rint(levels).clip(0, top).astype(spec.dtype), spec.shape))


def _bands(pixels: np.ndarray | Image.Image) -> Iterator[Image.Image]:
    if isinstance(pixels, Image.Image):
        yield from (pixels.getchannel(band) for band in pixels.getbands())
    elif pixels.ndim == 2:
        yield Image.fromarray(pixels)
    else:
        yield from (Image.fromarray(np.ascontiguousarray(pixels[:, :, band])) for band in range(3))


def _fitted(image: Image.Image, spec: InputSpec) -> Image.Image:
    if image.size == (spec.width, spec.height):
        return image
    if spec.fit == "letterbox":
        return _letterbox(image, spec)
    return _resize(image, spec.width, spec.height, _centre(image, spec) if spec.fit == "crop" else None)


def _resize(
    image: Image.Image, width: int, height: int, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _letterbox(image: Image.Image, spec: InputSpec) -> Image.Image:
    scale = min(spec.width / image.width, spec.height / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    resized = _resize(image, width, height)
    if (width, height) == (spec.width, spec.height):
        return resized
    canvas = Image.new(image.mode, (spec.width, spec.height))
    canvas.paste(resized, ((spec.width - width) // 2, (spec.height - height) // 2))
    return canvas


def _centre(image: Image.Image, spec: InputSpec) -> tuple[float, float, float, float]:
    """The largest part about the centre that has the shape wanted: left, top, right, bottom."""
    scale = min(image.width / spec.width, image.height / spec.height)
    width, height = min(image.width, spec.width * scale), min(image.height, spec.height * scale)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, min(image.width, left + width), min(image.height, top + height)
