"""Decode an image file into an array, refusing what is too large before a pixel of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from medexp.errors import DataError
from medexp.imaging.dicom import hint, is_dicom, read_dicom
from medexp.imaging.intensity import Intensity, Policy
from medexp.imaging.limits import MAX_PIXELS
from medexp.imaging.picture import Picture
from medexp.imaging.raster import FORMATS as RASTER
from medexp.imaging.raster import read_raster

FORMATS = (*RASTER, "DICOM")
_LISTED = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"


@dataclass(frozen=True)
class Decoded:
    """The pixels of a file, upright, and what the file says of them.

    Args:
        pixels: `uint8`, or `uint16` (0 to 65535) where the file has more than 8 bits per sample; shape
            (height, width), or (height, width, 3) for colour.
        format: PNG, JPEG, TIFF, BMP, WEBP or DICOM.
        mode: as stored: Pillow's mode (L, RGB, P, I;16 ...), or the photometric interpretation of DICOM.
        width: as stored, before EXIF orientation.
        height: as stored, before EXIF orientation.
        bits: per sample, as stored.
    """

    pixels: np.ndarray
    format: str
    mode: str
    width: int
    height: int
    bits: int


def decode(
    data: bytes,
    *,
    name: str = "image",
    max_pixels: int = MAX_PIXELS,
    intensity: Policy = "file",
    window: tuple[float, float] | None = None,
    percentiles: tuple[float, float] | None = None,
    frame: int | None = None,
) -> Decoded:
    """Return the pixels of an encoded image, EXIF orientation applied, transparency dropped.

    Args:
        data: a PNG, JPEG, TIFF, BMP, WebP or DICOM file.
        name: what to call it in an error.
        max_pixels: width times height allowed; checked from the header, before decoding.
        intensity: as `InputSpec.intensity`; windows and percentiles are in the values that the file stores (for
            DICOM, after its modality LUT), over all channels jointly.
        window: (centre, width), for `intensity="window"`.
        percentiles: (low, high), for `intensity="percentiles"`.
        frame: of a file of many, from 0; None refuses such a file.

    Raises:
        DataError: empty, not an image of these formats, damaged, too large, of several frames, or of values without
            a range.
    """
    policy = Intensity(intensity, window, percentiles)
    picture = open_picture(data, name=name, max_pixels=max_pixels, intensity=policy, frame=frame)
    pixels = picture.pixels
    return Decoded(
        pixels=np.array(pixels) if isinstance(pixels, Image.Image) else pixels,
        format=picture.format,
        mode=picture.mode,
        width=picture.width,
        height=picture.height,
        bits=picture.bits,
    )


def open_picture(data: bytes, *, name: str, max_pixels: int, intensity: Intensity, frame: int | None) -> Picture:
    """As `decode`, without the copy into an array."""
    if not data:
        raise DataError(f"The file is empty. Received: {name} with 0 bytes. Send a {_LISTED} image.")
    if frame is not None and frame < 0:
        raise DataError(f"Frames count from 0. Received: data.input.frame={frame}. Override: data.input.frame=0")
    reader = read_dicom if is_dicom(data) else read_raster
    try:
        return reader(data, name=name, max_pixels=max_pixels, intensity=intensity, frame=frame)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"The image has too many pixels. Received: {name}. Send a smaller image.") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError, RecursionError ...
        raise DataError(
            f"Not a readable image. Received: {name}, {len(data):,} bytes ({type(error).__name__}). "
            f"{hint(data)}Send a {_LISTED} file."
        ) from error
