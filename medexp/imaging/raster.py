"""Read PNG, JPEG, TIFF, BMP and WebP by Pillow."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageChops, ImageOps

from medexp.errors import DataError
from medexp.imaging.claims import check_claims
from medexp.imaging.intensity import Intensity, between, counted, levels, looked_up, mapped, percentile_of
from medexp.imaging.limits import Metered, check_size
from medexp.imaging.picture import Picture

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
TIFF = (b"II", b"MM")
ORIENTED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
FRAMES = 10  # times `max_pixels` that may be decoded on the way to a frame
WIDTH, LENGTH, BITS_PER_SAMPLE, PHOTOMETRIC, TILE_WIDTH, TILE_LENGTH, SAMPLE_FORMAT = 256, 257, 258, 262, 322, 323, 339
WHITE_IS_ZERO = 0


def read_raster(data: bytes, *, name: str, max_pixels: int, intensity: Intensity, frame: int | None) -> Picture:
    """Return the image in a PNG, JPEG, TIFF, BMP or WebP file, upright.

    16 bits of grey stay; 16 bits of colour, or of grey with transparency, are read at 8, which is what Pillow can do.
    Transparency is dropped. An image that a JPEG carries beside the first (a preview, a depth map) is no frame.

    Args:
        data: the file.
        name: for errors.
        max_pixels: width times height allowed.
        intensity: what is black and white. Windows and percentiles are in stored values, over all channels jointly.
        frame: which page of a TIFF or picture of an animation; None refuses a file of several.

    Raises:
        DataError: too large, several images and no `frame`, or no such frame, or no range of values.
        Exception: whatever Pillow raises on damage (OSError, SyntaxError, struct.error, ValueError ...).
    """
    check_claims(data, name=name, max_pixels=max_pixels)
    file = Metered(data, name=name) if data[:2] in TIFF else io.BytesIO(data)
    with Image.open(file, formats=FORMATS) as image:
        check_size(image.width, image.height, name=name, max_pixels=max_pixels)
        if frame or getattr(image, "is_animated", False):
            _choose(image, frame, name=name, max_pixels=max_pixels)
            check_size(image.width, image.height, name=name, max_pixels=max_pixels)
        _check_tiles(image, name=name)
        facts = _Facts(image, data)
        image.load()
        upright = ImageOps.exif_transpose(image) if any(key in image.info for key in ORIENTED) else image
        return Picture(
            pixels=_pixels(upright, facts, intensity, name=name),
            format="JPEG" if image.format == "MPO" else str(image.format),
            mode=facts.mode,
            width=facts.width,
            height=facts.height,
            bits=facts.bits,
        )


class _Facts:
    """What a header says, which loading the pixels changes or forgets."""

    def __init__(self, image: Image.Image, data: bytes) -> None:
        tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
        self.mode = image.mode
        self.width, self.height = tags.get(WIDTH, image.width), tags.get(LENGTH, image.height)  # Pillow's is turned
        self.white_is_zero = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
        self.unsigned = tags.get(SAMPLE_FORMAT, (1,))[0] == 1
        tiles = getattr(image, "tile", ()) if image.mode == "RGBA" else ()
        self.grey_with_alpha = any("LA" in str(tile.args) for tile in tiles)
        self.cmyk_as_is = image.format in ("JPEG", "MPO") and image.mode == "CMYK" and "adobe" not in image.info
        if image.format == "TIFF":
            self.bits = max(tags.get(BITS_PER_SAMPLE, (1,)))
        elif data[12:16] == b"IHDR":
            self.bits = data[24]
        else:
            self.bits = 1 if image.mode == "1" else 8


def _choose(image: Image.Image, frame: int | None, *, name: str, max_pixels: int) -> None:
    if frame is None and image.format != "MPO":
        raise DataError(
            f"The file holds several images. Received: {name}. Say which, from 0. Override: data.input.frame=0"
        )
    if frame:
        if frame * image.width * image.height > FRAMES * max_pixels and image.format != "TIFF":
            raise DataError(
                f"Too many pixels come before that frame. Received: data.input.frame={frame}, and {name} with "
                f"{image.width} x {image.height}. Override: a smaller data.input.frame"
            )
        try:
            if image.format == "MPO":
                raise EOFError
            image.seek(frame)
        except EOFError:
            raise DataError(
                f"There is no such frame. Received: data.input.frame={frame}, and {name} holds fewer. "
                "Override: data.input.frame=0"
            ) from None


def _check_tiles(image: Image.Image, *, name: str) -> None:
    """A tile is decoded whole, however small the image is."""
    if image.format != "TIFF":
        return
    tags = image.tag_v2  # type: ignore[attr-defined]
    width, height = int(tags.get(TILE_WIDTH, 0)), int(tags.get(TILE_LENGTH, 0))
    if width * height > max(1 << 22, 4 * image.width * image.height):
        raise DataError(
            f"The tiles are larger than the image. Received: {name} with {image.width} x {image.height} in tiles of "
            f"{width} x {height}. Save the image anew in another program."
        )


def _pixels(image: Image.Image, facts: _Facts, intensity: Intensity, *, name: str) -> Image.Image | np.ndarray:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        stored = np.asarray(image)
        if facts.bits <= 16 and image.mode != "F":
            return _sixteen(stored, facts, intensity, name=name)
        return _thirty_two(stored, facts, intensity, name=name)
    image = _plain(image, facts)
    if intensity.policy in ("file", "full"):
        return image
    counts = np.reshape(image.histogram(), (-1, 256)).sum(axis=0)
    values = np.arange(256.0)
    black, white = intensity.ends((0, 255), lambda percents: percentile_of(values, counts, percents), name=name)
    return image.point(levels(between(values, black, white), 8).tolist() * len(image.getbands()))


def _plain(image: Image.Image, facts: _Facts) -> Image.Image:
    """8 bits as L or RGB, without transparency."""
    image.info.pop("transparency", None)  # converting would heed it
    if image.mode in ("L", "RGB"):
        return image
    if facts.grey_with_alpha:
        return image.getchannel(0)
    if facts.cmyk_as_is:  # Pillow takes every CMYK JPEG to be inverted, as Adobe writes them
        image = ImageChops.invert(image)
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "LA") else "RGB")


def _sixteen(stored: np.ndarray, facts: _Facts, intensity: Intensity, *, name: str) -> np.ndarray:
    low, high = (0, 2**facts.bits - 1) if facts.unsigned else (-32768, 32767)
    patterns = (stored - low).astype(np.uint16) if low else stored.astype(np.uint16)
    values = np.arange(65536.0) + low

    def percentile(percents: tuple[float, float]) -> tuple[float, float]:
        return percentile_of(values, counted(patterns, 65536), percents)

    fraction = between(values, *intensity.ends((low, high), percentile, name=name))
    return looked_up(patterns, levels(1 - fraction if facts.white_is_zero else fraction, 16))


def _thirty_two(stored: np.ndarray, facts: _Facts, intensity: Intensity, *, name: str) -> np.ndarray:
    if stored.dtype == np.int32 and facts.unsigned:
        stored = stored.view(np.uint32)

    def percentile(percents: tuple[float, float]) -> tuple[float, float]:
        finite = stored[np.isfinite(stored)]
        if not finite.size:
            raise DataError(f"The image holds no number. Received: {name}, all NaN or infinite.")
        low, high = np.percentile(finite, percents)
        return float(low), float(high)

    black, white = intensity.ends(None, percentile, name=name)
    return mapped(stored, lambda values: between(values, black, white), 16)
