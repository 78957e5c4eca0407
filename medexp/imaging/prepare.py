"""Fit decoded pixels to what a network sees: channels, size. The only resize of the project."""

from __future__ import annotations

import numpy as np
from PIL import Image

from medexp.types import InputSpec


def prepare(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return `pixels` as `spec` wants them.

    Args:
        pixels: `uint8`, shape (height, width), (height, width, 1) or (height, width, 3).
        spec: the size, channels and fit wanted.

    Returns:
        `uint8`, shape `spec.shape`. Colour becomes grey by ITU-R 601 luma; grey is repeated for colour.
        Resizing is bilinear and antialiased (Pillow widens the kernel when it shrinks); pixels of the
        right size are returned unchanged.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(pixels).convert("L" if spec.channels == 1 else "RGB")
    if image.size != (spec.width, spec.height):
        image = _letterbox(image, spec) if spec.fit == "letterbox" else _resize(image, spec.width, spec.height)
    return np.array(image, dtype=np.uint8).reshape(spec.shape)


def _resize(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _letterbox(image: Image.Image, spec: InputSpec) -> Image.Image:
    scale = min(spec.width / image.width, spec.height / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new(image.mode, (spec.width, spec.height))
    canvas.paste(_resize(image, width, height), ((spec.width - width) // 2, (spec.height - height) // 2))
    return canvas
