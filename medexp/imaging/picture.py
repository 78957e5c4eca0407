"""What a reader of one format hands to the rest of the room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Picture:
    """Upright pixels of one image with the facts of its file.

    Args:
        pixels: a Pillow image of mode L or RGB, or an array of `uint8` or `uint16`, (height, width) or
            (height, width, 3); Pillow's own are not copied into an array before they are resized.
        format: such as PNG, DICOM.
        mode: as stored: Pillow's mode, or the photometric interpretation of DICOM.
        width: as stored, before EXIF orientation.
        height: as stored.
        bits: per sample, as stored.
    """

    pixels: Image.Image | np.ndarray
    format: str
    mode: str
    width: int
    height: int
    bits: int
