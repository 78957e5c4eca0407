"""Read DICOM: which frame, which values, how they are to be shown."""

from __future__ import annotations

import logging
import warnings
import zlib
from typing import TYPE_CHECKING

from medexp.errors import DataError
from medexp.imaging.dicom_frame import Header, read_frame
from medexp.imaging.dicom_tone import shown
from medexp.imaging.intensity import Intensity
from medexp.imaging.limits import Metered
from medexp.imaging.picture import Picture

if TYPE_CHECKING:
    from pydicom import Dataset

MAGIC = slice(128, 132)
INFLATED = 1 << 28  # bytes that a deflated file may unpack to
DEFLATED, EXPLICIT = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"


def is_dicom(data: bytes) -> bool:
    """Whether the file has DICOM's mark, `DICM` after a preamble of 128 bytes."""
    return data[MAGIC] == b"DICM"


def hint(data: bytes) -> str:
    """A sentence for a file that may be DICOM without its preamble, which cannot be told safely; else nothing."""
    if data[:2] in (b"\x02\x00", b"\x08\x00") and len(data) > 132:
        return "It may be DICOM without a preamble: write it anew as a DICOM file (PS3.10). "
    return ""


def read_dicom(data: bytes, *, name: str, max_pixels: int, intensity: Intensity, frame: int | None) -> Picture:
    """Return one image of a DICOM file as it is to be shown.

    Modality LUT (a rescale or a table), then what `intensity` says: `file` is the VOI LUT or the first window of the
    file (linear, linear exact or sigmoid), or the full range where it has neither. MONOCHROME1 is inverted last.
    Palettes and YBR become RGB; colours have no modality LUT and no VOI LUT. Overlays are not drawn. Percentiles leave
    out pixel padding.

    Args:
        data: the file, with its preamble.
        name: for errors.
        max_pixels: rows times columns allowed.
        intensity: what is black and white; windows and percentiles are in values after the modality LUT.
        frame: of a multi-frame file, from 0; None refuses such a file.

    Raises:
        DataError: no image in it, too large, several frames and no `frame`, compressed in a way that needs a package
            which is not installed, or values without a range.
        Exception: whatever pydicom and its decoders raise on damage.
    """
    data = _inflated(data, name=name)
    file = Metered(data, name=name)
    dataset = _parsed(file)
    header = Header.of(dataset, file, name=name, max_pixels=max_pixels)
    index = header.choose(frame, name=name)
    pixels = read_frame(dataset, header, file, index, name=name, max_pixels=max_pixels)
    return Picture(
        pixels=shown(pixels, header, dataset, index, intensity, name=name),
        format="DICOM",
        mode=header.photometric,
        width=header.columns,
        height=header.rows,
        bits=header.stored,
    )


def _parsed(file: Metered) -> Dataset:
    """All elements before the pixels; `file` is left where those begin."""
    import pydicom

    # An odd value that nobody asks for is no reason to speak, and each failed decoder would log a traceback.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom.dcmread(file, stop_before_pixels=True)


def _inflated(data: bytes, *, name: str) -> bytes:
    """The file without deflation: pydicom would unpack any amount."""
    if DEFLATED not in data[:1024]:
        return data
    start = 144 + int.from_bytes(data[140:144], "little")  # (0002,0000) counts the bytes of the group after itself
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    body = unpacker.decompress(data[start:], INFLATED)
    if len(body) >= INFLATED:
        raise DataError(
            f"The deflated file is too large. Received: {name}, which unpacks to more than {INFLATED:,} bytes."
        )
    plain = data[:start].replace(DEFLATED, EXPLICIT) + body
    if DEFLATED in plain[:1024]:
        raise ValueError("a group length that lies")
    return plain
