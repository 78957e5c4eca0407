"""One frame of a DICOM file as it is stored: every claim of the header and the codestream checked before decoding."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from medexp.errors import DataError
from medexp.imaging.claims import Frame, check_claims, jpeg_frame
from medexp.imaging.limits import check_size

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import Decoder

KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_12_BIT = "1.2.840.10008.1.2.4.51"
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = (
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
)
RLE = "1.2.840.10008.1.2.5"
TILES = 4096  # of JPEG 2000: the decoder makes a room of its own for each
CODESTREAM = b"\xff\x4f\xff\x51"


@dataclass(frozen=True)
class Header:
    """What the header says of the pixels.

    Args:
        rows: height.
        columns: width.
        samples: 1 or 3 per pixel.
        frames: images in the file.
        allocated: bits of each sample in the file.
        stored: bits of each sample that count.
        shift: unused bits below those that count.
        signed: whether values are in two's complement.
        floating: whether values are floating-point numbers.
        photometric: such as MONOCHROME2, RGB, PALETTE COLOR.
        syntax: UID of the transfer syntax.
        vr: value representation of the pixel data.
        start: where the value of the pixel data begins in the file.
        length: bytes of it.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    shift: int
    signed: bool
    floating: bool
    photometric: str
    syntax: str
    vr: str
    start: int
    length: int

    @classmethod
    def of(cls, dataset: Dataset, file: BinaryIO, *, name: str, max_pixels: int) -> Header:
        """Read and check it; `file` stands where the pixel data begins.

        Raises:
            DataError: no image, too large, or fewer bytes than the frames need.
        """
        syntax = dataset.file_meta.TransferSyntaxUID
        keyword, vr, start, length = _pixel_data(file, syntax.is_little_endian)
        if keyword is None:
            kind = dataset.get("Modality", "file without modality")
            raise DataError(f"The DICOM file holds no image. Received: {name}, a {kind}.")
        allocated = int(dataset.BitsAllocated)
        stored = int(dataset.get("BitsStored", allocated) or allocated)
        header = cls(
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            samples=int(dataset.get("SamplesPerPixel", 1)),
            frames=max(1, int(dataset.get("NumberOfFrames", 1) or 1)),
            allocated=allocated,
            stored=stored,
            shift=max(0, int(dataset.get("HighBit", stored - 1)) + 1 - stored),
            signed=int(dataset.get("PixelRepresentation", 0)) == 1,
            floating=keyword != "PixelData",
            photometric=str(dataset.PhotometricInterpretation),
            syntax=str(syntax),
            vr=vr,
            start=start,
            length=length,
        )
        check_size(header.columns, header.rows, name=name, max_pixels=max_pixels)
        header._check(compressed=syntax.is_encapsulated, name=name)
        return header

    def _check(self, *, compressed: bool, name: str) -> None:
        allowed = {"FloatPixelData": (32,), "DoubleFloatPixelData": (64,)} if self.floating else {"": (1, 8, 16, 32)}
        if self.samples not in (1, 3) or not any(self.allocated in bits for bits in allowed.values()):
            raise DataError(
                f"Pixels of this kind are not known. Received: {name} with SamplesPerPixel={self.samples}, "
                f"BitsAllocated={self.allocated}. Known: 1 or 3 samples of 1, 8, 16 or 32 bits."
            )
        if not 1 <= self.stored + self.shift <= self.allocated:
            raise DataError(
                f"The header contradicts itself. Received: {name} with BitsStored={self.stored}, "
                f"BitsAllocated={self.allocated}."
            )
        needed = self.rows * self.columns * self.samples * self.allocated * self.frames // 8
        needed = needed * 2 // 3 if self.photometric == "YBR_FULL_422" else needed
        if not compressed and needed > self.length:
            raise DataError(
                f"The header promises more pixels than the file holds. Received: {name} with {self.length:,} bytes of "
                f"pixels, {self.frames} x {self.rows} x {self.columns} x {self.samples} need {needed:,}."
            )

    def choose(self, frame: int | None, *, name: str) -> int:
        """Return the index of the frame to read (or DataError)."""
        if frame is None and self.frames > 1:
            raise DataError(
                f"The file holds several images. Received: {name} with {self.frames} frames. Say which, from 0. "
                "Override: data.input.frame=0"
            )
        if (frame or 0) >= self.frames:
            raise DataError(
                f"There is no such frame. Received: data.input.frame={frame}, and {name} holds {self.frames}. "
                "Override: data.input.frame=0"
            )
        return frame or 0


def read_frame(
    dataset: Dataset, header: Header, file: BinaryIO, index: int, *, name: str, max_pixels: int
) -> np.ndarray:
    """Return frame `index`, (rows, columns) or (rows, columns, 3), in the values and the type of the file; YBR as RGB.

    Raises:
        DataError: the codestream claims another size than the header, or its decoder is not installed.
        Exception: whatever pydicom and its decoders raise on damage.
    """
    from pydicom import encaps
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import as_pixel_options

    try:
        decoder = get_decoder(header.syntax)
    except NotImplementedError:
        raise DataError(
            f"Pixels in this transfer syntax cannot be read. Received: {name} with "
            f"{dataset.file_meta.TransferSyntaxUID.name}. Write it anew in another one."
        ) from None
    options: dict[str, Any] = as_pixel_options(dataset, correct_unused_bits=False)
    options["transfer_syntax_uid"] = dataset.file_meta.TransferSyntaxUID
    file.seek(header.start)
    if not decoder.is_encapsulated:
        options["pixel_keyword"] = _keyword(header)
        options["pixel_vr"] = header.vr
        return _whole(decoder.as_array(file, index=index, **options)[0], header)
    plugin = _plugin(decoder, header, name=name)
    stream = encaps.get_frame(
        file, index, number_of_frames=header.frames, extended_offsets=options.pop("extended_offsets", None)
    )
    stream = _checked(stream, header, name=name, max_pixels=max_pixels)
    options.update(number_of_frames=1, pixel_keyword="PixelData")
    one = encaps.encapsulate([stream], has_bot=False)
    try:
        return _whole(decoder.as_array(one, index=0, decoding_plugin=plugin, **options)[0], header)
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # Rust's, which is no Exception: pylibjpeg-rle on damage
            raise ValueError("a frame that its decoder cannot read") from error
        raise


def _pixel_data(file: BinaryIO, little: bool) -> tuple[str | None, str, int, int]:
    """Keyword, value representation, place and length of the pixel data; no keyword where there is none."""
    head = file.read(12)
    group, element = struct.unpack_from("<HH" if little else ">HH", head.ljust(12, b"\0"))
    explicit = head[4:6].isalpha() and head[4:6].isupper()  # whatever the transfer syntax says
    start = file.tell() - len(head) + (12 if explicit else 8)
    length = int.from_bytes(head[8:12] if explicit else head[4:8], "little" if little else "big")
    keyword = KEYWORDS.get(group << 16 | element)
    return keyword, head[4:6].decode() if explicit else "OW", start, min(length, file.seek(0, 2) - start)


def _keyword(header: Header) -> str:
    if not header.floating:
        return "PixelData"
    return "FloatPixelData" if header.allocated == 32 else "DoubleFloatPixelData"


def _plugin(decoder: Decoder, header: Header, *, name: str) -> str:
    """The one decoder to use, the same in training and service; DataError names the package that is missing."""
    if header.syntax in JPEG_2000:
        wanted, package = ["pylibjpeg"], "pip install medexp[dicom] (pylibjpeg-openjpeg)"
    elif header.syntax == RLE:
        wanted, package = ["pylibjpeg"], "pip install medexp[dicom] (pylibjpeg-rle)"
    elif header.syntax in JPEG_LS:
        wanted, package = ["pyjpegls"], "pip install medexp[dicom] (pyjpegls)"
    elif header.syntax in JPEG[:2] and header.stored <= 8:
        wanted, package = ["pillow"], "pip install pillow"
    else:  # lossless or 12-bit JPEG: no decoder under a permissive licence in Python alone
        wanted, package = ["pylibjpeg", "gdcm"], "pip install pylibjpeg pylibjpeg-libjpeg (GPL), or python-gdcm (BSD)"
    for plugin in wanted:
        if plugin in decoder.available_plugins:
            return plugin
    raise DataError(
        f"The pixels are compressed in a way that needs a package which is not installed. Received: {name}, "
        f"{decoder.UID.name}. Install it: {package}"
    )


def _checked(stream: bytes, header: Header, *, name: str, max_pixels: int) -> bytes:
    """The codestream of one frame, once its own header agrees with the file's."""
    claim: Frame | None
    if header.syntax == RLE:
        segments = header.samples * max(1, header.allocated // 8)
        if len(stream) < 64 or struct.unpack_from("<L", stream)[0] != segments:
            raise ValueError("RLE segments that do not fit the header")
        return stream
    if header.syntax in JPEG_2000:
        stream = stream[max(0, stream.find(CODESTREAM)) :]  # some files wrap it in a JP2 file
        claim = _j2k_frame(stream, name=name)
    else:
        check_claims(stream, name=name, max_pixels=max_pixels)
        claim = jpeg_frame(stream)
    if claim is None:
        raise ValueError("no codestream of the kind that the transfer syntax says")
    if (claim.height, claim.width, claim.samples) != (header.rows, header.columns, header.samples):
        raise DataError(
            f"The header and the compressed pixels contradict each other. Received: {name}, {header.columns} x "
            f"{header.rows} x {header.samples} in one, {claim.width} x {claim.height} x {claim.samples} in the other."
        )
    return stream


def _j2k_frame(stream: bytes, *, name: str) -> Frame | None:
    """What the SIZ marker of a JPEG 2000 codestream says (ISO/IEC 15444-1, A.5.1)."""
    if len(stream) < 42 or not stream.startswith(CODESTREAM):
        return None
    width, height, left, top, across, down, *_ = struct.unpack_from(">8L", stream, 8)
    samples = struct.unpack_from(">H", stream, 40)[0]
    if not across or not down or -(-width // across) * -(-height // down) > TILES:
        raise DataError(f"The image has too many tiles. Received: {name}, of {across} x {down} pixels each.")
    return Frame(width - left, height - top, samples)


def _whole(pixels: np.ndarray, header: Header) -> np.ndarray:
    if pixels.shape[:2] != (header.rows, header.columns):
        raise ValueError("a frame of another size")
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))
