"""What files say of themselves that decoders believe: checked before one is started."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from medexp.errors import DataError
from medexp.imaging.limits import check_size

SCANS = 20  # times `max_pixels`: each scan of a progressive JPEG decodes the whole image again
PROFILES = 8  # colour profiles in a PNG, each of which may unpack to a megabyte


def check_claims(data: bytes, *, name: str, max_pixels: int) -> None:
    """Refuse a WebP whose canvas, a JPEG whose scans or a PNG whose profiles would take too much memory or time.

    Raises:
        DataError: it would.
    """
    if data[:2] == b"\xff\xd8":
        if data.count(b"\xff\xda") > SCANS:  # all others end soon, whatever their size
            _check_scans(data, name=name, max_pixels=max_pixels)
    elif data[:4] == b"RIFF":
        check_size(*_canvas(data), name=name, max_pixels=max_pixels)
    elif data[:4] == b"\x89PNG" and data.count(b"iCCP") > PROFILES:
        raise DataError(
            f"The file holds too many colour profiles. Received: {name}. Save the image anew in another program."
        )


def _check_scans(data: bytes, *, name: str, max_pixels: int) -> None:
    frame = jpeg_frame(data)
    scans = data.count(b"\xff\xda")
    if frame is not None and frame.width * frame.height * scans > SCANS * max_pixels:
        raise DataError(
            f"The image is stored in too many scans. Received: {name} with {frame.width} x {frame.height} in {scans} "
            "scans. Save the image anew in another program."
        )


@dataclass(frozen=True)
class Frame:
    """The size that a codestream declares."""

    width: int
    height: int
    samples: int


def jpeg_frame(data: bytes) -> Frame | None:
    """Return what the start of frame of a JPEG or JPEG-LS codestream says; None where there is none."""
    place = 2
    while place + 10 <= len(data):
        if data[place] != 0xFF:
            return None
        kind = data[place + 1]
        if kind == 0xFF:  # padding
            place += 1
            continue
        if (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)) or kind == 0xF7:
            height, width, samples = struct.unpack_from(">HHB", data, place + 5)
            return Frame(width, height, samples)
        if kind in (0xD9, 0xDA):
            return None
        place += 2 if kind == 0x01 or 0xD0 <= kind <= 0xD8 else 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None


def _canvas(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP; (1, 1) where Pillow will find it to be none."""
    kind, body = data[12:16], data[20:30]
    if len(body) == 10 and kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if len(body) == 10 and kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return max(1, width & 0x3FFF), max(1, height & 0x3FFF)
    if len(body) == 10 and kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return 1, 1
