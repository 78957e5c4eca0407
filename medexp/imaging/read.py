"""From a file's bytes to the pixels a network sees: what training and the service both call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medexp.errors import DataError
from medexp.imaging.decode import open_picture
from medexp.imaging.intensity import Intensity
from medexp.imaging.limits import MAX_PIXELS
from medexp.imaging.prepare import prepare
from medexp.types import InputSpec


@dataclass(frozen=True)
class Prepared:
    """Pixels as a network sees them, and what the file said of itself.

    Args:
        pixels: `spec.dtype`, shape `spec.shape`.
        format: PNG, JPEG, TIFF, BMP, WEBP or DICOM.
        mode: as stored: Pillow's mode, or the photometric interpretation of DICOM.
        width: as the image stands upright, after EXIF orientation.
        height: as the image stands upright, after EXIF orientation.
        bits: per sample, as stored.
    """

    pixels: np.ndarray
    format: str
    mode: str
    width: int
    height: int
    bits: int


def read(data: bytes, spec: InputSpec, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> Prepared:
    """Decode an image file and prepare it as `spec` says.

    The pixels equal `prepare(decode(data, ...).pixels, spec)`; an array is spared on the way.

    Args:
        data: a PNG, JPEG, TIFF, BMP, WebP or DICOM file.
        spec: the pixels wanted.
        name: what to call it in an error.
        max_pixels: width times height allowed; checked from the header, before decoding.

    Raises:
        DataError: as `decode`.
    """
    policy = Intensity(spec.intensity, spec.window, spec.percentiles)
    picture = open_picture(data, name=name, max_pixels=max_pixels, intensity=policy, frame=spec.frame)
    try:
        pixels = prepare(picture.pixels, spec)
    except MemoryError as error:
        raise DataError(
            f"There is not enough memory to resize the image. Received: {name} with {picture.width} x "
            f"{picture.height}. Send a smaller image."
        ) from error
    upright = picture.pixels
    height, width = upright.shape[:2] if isinstance(upright, np.ndarray) else upright.size[::-1]
    return Prepared(
        pixels=pixels,
        format=picture.format,
        mode=picture.mode,
        width=width,
        height=height,
        bits=picture.bits,
    )
