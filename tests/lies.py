"""Files that are built to take a reader's memory or time."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from pictures import GREY, dicom, encoded, png, tiff
from PIL import Image

SIDE = 7071  # squared it is just under the limit of pixels
HEADER = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
RLE, J2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"


def lies() -> dict[str, Callable[[], bytes]]:
    """How to make each, by its name."""
    return {
        "png-text-bomb": _png_text,
        "png-profile-bomb": _png_profiles,
        "png-pixels-beyond-its-header": lambda: png(HEADER, (b"IDAT", _packed(1 << 28))),
        "png-largest-rgba-16": lambda: _largest_png(16, 6),
        "png-largest-palette": lambda: _saved(Image.new("P", (SIDE, SIDE)), "PNG"),
        "png-exif-bomb": lambda: png(HEADER, (b"eXIf", _overlapping(65_000, 1 << 22)), (b"IDAT", _packed(64 * 65))),
        "jpeg-largest-cmyk": lambda: _saved(Image.new("CMYK", (SIDE, SIDE)), "JPEG"),
        "jpeg-scans-without-end": _jpeg_scans,
        "jpeg-largest-progressive": lambda: _saved(Image.new("RGB", (SIDE, SIDE)), "JPEG", progressive=True),
        "tiff-overlapping-entries": lambda: _overlapping(65_000, 1 << 22),
        "tiff-huge-tiles": _tiff_tiles,
        "tiff-pages-in-a-ring": _tiff_ring,
        "tiff-largest-float": lambda: _saved(Image.new("F", (SIDE, SIDE), 1.5), "TIFF", compression="tiff_deflate"),
        "tiff-largest-cmyk": lambda: _saved(Image.new("CMYK", (SIDE, SIDE)), "TIFF", compression="tiff_lzw"),
        "bmp-negative-size": lambda: _patched(encoded(GREY, "BMP"), 18, struct.pack("<ii", -5, -(2**31))),
        "bmp-runs": _bmp_runs,
        "webp-largest-canvas": _webp_canvas,
        "webp-frames": _webp_frames,
        "dicom-largest": lambda: dicom(np.zeros((SIDE, SIDE), np.uint16), WindowCenter=5, WindowWidth=9),
        "dicom-largest-rgb": lambda: dicom(np.zeros((SIDE, SIDE, 3), np.uint8)),
        "dicom-largest-16-bit-rgb-rle": lambda: dicom(np.zeros((SIDE, SIDE, 3), np.uint16), syntax=RLE),
        "dicom-deep-sequences": _dicom_deep,
        "dicom-elements-without-end": _dicom_elements,
        "dicom-items-without-end": _dicom_items,
        "dicom-fragments-without-end": _dicom_fragments,
        "dicom-rle-bomb": _dicom_rle,
        "dicom-j2k-tiles": lambda: _dicom_j2k(200, 200, 1, 1, side=200),
        "dicom-j2k-size": lambda: _dicom_j2k(60_000, 60_000, 60_000, 60_000),
        "dicom-rows-and-frames": lambda: dicom(GREY, Rows=65535, Columns=65535, NumberOfFrames=2**31 - 1),
        "dicom-empty-image": lambda: dicom(GREY, Rows=0, Columns=0),
    }


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _packed(size: int) -> bytes:
    """`size` zeros, deflated."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(1 << 22, size - start))) for start in range(0, size, 1 << 22)]
    return b"".join((*parts, packer.flush()))


def _patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _png_text() -> bytes:
    bomb = _packed(1 << 26)
    chunks = [(b"iTXt", b"Comment\0\1\0\0\0" + bomb), (b"zTXt", b"Comment\0\0" + bomb)]
    return png(HEADER, *chunks, (b"IDAT", _packed(64 * 65)))


def _png_profiles() -> bytes:
    profile = (b"iCCP", b"name\0\0" + _packed((1 << 20) - 1))
    return png(HEADER, *[profile] * 5000, (b"IDAT", _packed(64 * 65)))


def _largest_png(bits: int, colour: int) -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, bits, colour, 0, 0, 0)
    return png(header, (b"IDAT", _packed(SIDE * (1 + SIDE * 4 * bits // 8))))


def _overlapping(entries: int, size: int) -> bytes:
    """A TIFF (or EXIF) directory whose entries all claim the same bytes."""
    base = 8 + 2 + 12 * (entries + 2) + 4
    tags = b"".join(struct.pack("<HHII", tag, 7, size, base) for tag in range(500, 500 + entries))
    sizes = struct.pack("<HHII", 256, 4, 1, 64) + struct.pack("<HHII", 257, 4, 1, 64)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", entries + 2) + sizes + tags + bytes(4) + bytes(size)


def _jpeg_scans() -> bytes:
    """A progressive JPEG of many megapixels whose last scan comes again and again."""
    data = _saved(Image.new("L", (5000, 5000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 2000 + data[-2:]


def _tiff_tiles() -> bytes:
    tags = {256: 16, 257: 16, 258: 8, 259: 5, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 8, 325: 20}
    return tiff(tags, bytes(20))


def _tiff_ring() -> bytes:
    data = tiff({256: 2, 257: 1, 258: 8, 259: 1, 262: 1, 277: 1, 278: 1}, b"ab")
    return data[:-4] + data[4:8]


def _bmp_runs() -> bytes:
    """A run-length encoded BMP of runs of one pixel."""
    width, height, body = 5000, 400, b"\1\7" * 2_000_000 + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    start = 14 + len(head) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + bytes(1024) + body


def _webp_canvas() -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + (16_382).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_frames() -> bytes:
    frames = [Image.new("RGB", (1500, 1500), (i, 0, 0)) for i in range(20)]
    return _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


def _before_pixels(data: bytes, elements: bytes) -> bytes:
    place = data.rindex(b"\xe0\x7f\x10\x00")
    return data[:place] + elements + data[place:]


def _sequence(content: bytes) -> bytes:
    return b"\x99\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" + content


def _dicom_deep() -> bytes:
    depth = 50_000
    return _before_pixels(
        dicom(GREY), _sequence(b"") * depth + (b"\xfe\xff\r\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0") * depth
    )


def _dicom_elements() -> bytes:
    elements = b"".join(struct.pack("<HH2sH", 0x7001 + 2 * (i >> 16), i & 0xFFFF, b"LO", 0) for i in range(1_500_000))
    return _before_pixels(dicom(GREY), elements)


def _dicom_items() -> bytes:
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1_500_000
    return _before_pixels(dicom(GREY), b"\x99\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + items + b"\xfe\xff\xdd\xe0\0\0\0\0")


def _encapsulated(stream: bytes, syntax: str, **elements: int) -> bytes:
    """A compressed DICOM file with this in place of its pixel data, whose items it holds."""
    data = dicom(np.zeros((64, 64), np.uint16), syntax=syntax, **elements)
    place = data.rindex(b"\xe0\x7f\x10\x00") + 12
    return data[:place] + stream + b"\xfe\xff\xdd\xe0\0\0\0\0"


def _item(content: bytes) -> bytes:
    content += b"\0" * (len(content) % 2)
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def _dicom_fragments() -> bytes:
    return _encapsulated(_item(b"") * 1_500_000, J2K)


def _dicom_rle() -> bytes:
    """A run of 128 bytes from two, ten million times, for an image of 4,096 pixels."""
    head = struct.pack("<16L", 2, 64, 64 + 5_000_000, *[0] * 13)
    return _encapsulated(_item(b"") + _item(head + b"\x81\0" * 5_000_000), RLE)


def _dicom_j2k(width: int, height: int, across: int, down: int, *, side: int = 64) -> bytes:
    data = dicom(np.zeros((side, side), np.uint16), syntax=J2K)
    place = data.index(b"\xff\x4f\xff\x51") + 8
    return _patched(data, place, struct.pack(">8L", width, height, 0, 0, across, down, 0, 0))
