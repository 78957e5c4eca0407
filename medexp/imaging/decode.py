"""Decode an image file into an array, refusing what is too large before a pixel of it is decoded."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from medexp.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
MAX_PIXELS = 50_000_000


def decode(data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the pixels of an encoded image, EXIF orientation applied.

    Args:
        data: a PNG, JPEG, TIFF (first page), BMP or WebP file.
        name: what to call it in an error.
        max_pixels: width times height allowed; checked from the header, before decoding.

    Returns:
        `uint8`, shape (height, width) for grey images, (height, width, 3) for all others. 16-bit grey
        is scaled over its full range (0..65535 to 0..255); transparency is dropped.

    Raises:
        DataError: empty, not an image of these formats, damaged, or too large.
    """
    if not data:
        raise DataError(f"The file is empty. Received: {name} with 0 bytes. Send a {', '.join(FORMATS)} image.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise DataError(
                    f"The image has too many pixels. Received: {name} with {width} x {height}; "
                    f"at most {max_pixels:,} are allowed. Send a smaller image."
                )
            image.load()
            return _to_array(ImageOps.exif_transpose(image))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"The image has too many pixels. Received: {name}. Send a smaller image.") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError ... on damage
        raise DataError(
            f"Not a readable image. Received: {name}, {len(data):,} bytes ({type(error).__name__}). "
            f"Send a {', '.join(FORMATS)} file."
        ) from error


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("integer pixels beyond 16 bits have no defined range")
        return np.asarray((wide + 128) // 257, dtype=np.uint8)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    grey = image.mode in ("L", "1", "LA")
    return np.array(image.convert("L" if grey else "RGB"), dtype=np.uint8)
