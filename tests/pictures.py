"""Encoded images for tests, honest and lying."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

GREY = (np.arange(12, dtype=np.uint8).reshape(3, 4) * 20).repeat(8, axis=0).repeat(8, axis=1)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
FORMATS = ["PNG", "JPEG", "TIFF", "BMP", "WEBP"]
LOSSLESS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, kind, **LOSSLESS.get(kind, {}), **options)
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header says how large it is, and that holds no pixel."""
    return png(struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), (b"IDAT", zlib.compress(b"")))


def tiff(tags: dict[int, int], strip: bytes) -> bytes:
    """A little-endian TIFF of one strip, with just these tags."""
    entries = sorted({**tags, 273: 8, 279: len(strip)}.items())
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    strip += b"\0" * (len(strip) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(entries)) + directory + bytes(4)


def png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks after its header."""
    parts = ((b"IHDR", header), *chunks, (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def dicom(pixels: np.ndarray, *, syntax: str | None = None, **elements: Any) -> bytes:
    """A DICOM file of `pixels`, (h, w), (h, w, 3) or (frames, h, w), compressed as `syntax` says; None leaves one out.

    The element `pixel_data` takes the place of the bytes of `pixels`.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.PatientName = "Test"
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    bits = 8 * pixels.itemsize
    known: dict[str, Any] = {
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": 3 if colour else 1,
        "PlanarConfiguration": 0 if colour else None,
        "NumberOfFrames": len(pixels) if pixels.ndim == 3 and not colour else None,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    data = elements.pop("pixel_data", pixels.tobytes())
    known.update(elements)
    known.setdefault("HighBit", known["BitsStored"] - 1)
    for keyword, value in known.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    if syntax:
        dataset.compress(syntax)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
