from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest
from pictures import COLOUR, GREY, dicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence

from medexp.errors import DataError
from medexp.imaging.decode import decode

FILES = Path(pydicom.data.__file__).parent / "test_files"
CT = np.arange(-1024, 3072, dtype=np.int16).reshape(64, 64)
WIDE = np.arange(4096, dtype=np.uint16).reshape(64, 64)
RLE, J2K, JPEG_LS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"


def real(name: str) -> bytes:
    return (FILES / name).read_bytes()


def line(values: np.ndarray, black: float, white: float, top: int = 65535) -> np.ndarray:
    return np.rint(np.clip((np.asarray(values, float) - black) / (white - black), 0, 1) * top)


def item(**elements: Any) -> Dataset:
    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",  # window, signed
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "examples_overlay.dcm",  # several windows
        "693_J2KI.dcm",  # rescale and window
        "CT_small.dcm",  # rescale, no window
    ],
)
def test_a_real_file_is_shown_as_pydicom_shows_it(name: str) -> None:
    dataset = pydicom.dcmread(FILES / name)
    hounsfield = apply_modality_lut(pixel_array(dataset), dataset)
    shown = apply_voi_lut(hounsfield, dataset)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    half = 1 << dataset.BitsStored - 1
    low, high = (-half, half - 1) if dataset.PixelRepresentation else (0, 2 * half - 1)
    wanted = line(shown, low * slope + intercept, high * slope + intercept)
    found = decode(real(name)).pixels
    assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_rle.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",  # baseline JPEG
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jpeg.dcm",  # its elements are not what its transfer syntax says
        "examples_jpeg2k.dcm",
        "examples_ybr_color.dcm",
    ],
)
def test_colours_of_a_real_file_are_rgb(name: str) -> None:
    wanted = pixel_array(pydicom.dcmread(FILES / name), index=0)
    assert (decode(real(name), frame=0).pixels == wanted).all()


def test_the_facts_of_the_file_are_told() -> None:
    found = decode(real("examples_overlay.dcm"))
    assert (found.format, found.mode, found.bits) == ("DICOM", "MONOCHROME2", 12)
    assert (found.height, found.width) == found.pixels.shape == (300, 484)


@pytest.mark.parametrize("syntax", [None, RLE, J2K, JPEG_LS])
def test_compressed_pixels_equal_the_plain_ones(syntax: str | None) -> None:
    assert (decode(dicom(WIDE, syntax=syntax, BitsStored=12)).pixels == line(WIDE, 0, 4095)).all()


def test_8_bits_stay_8_bits() -> None:
    found = decode(dicom(GREY)).pixels
    assert found.dtype == np.uint8
    assert (found == GREY).all()


@pytest.mark.parametrize(("policy", "black", "white"), [("file", -1024, 64511), ("full", -1024, 64511)])
def test_without_a_window_the_full_range_is_that_of_the_bits(policy: Any, black: int, white: int) -> None:
    stored = (CT + 1024).astype(np.uint16)
    data = dicom(stored, RescaleSlope=1, RescaleIntercept=-1024)
    assert (decode(data, intensity=policy).pixels == line(CT, black, white)).all()


def test_a_window_of_ours_is_in_hounsfield_units() -> None:
    data = dicom((CT + 1024).astype(np.uint16), RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=0, WindowWidth=1)
    assert (decode(data, intensity="window", window=(40, 400)).pixels == line(CT, -160, 240)).all()


def test_percentiles_are_those_of_the_image_without_its_padding() -> None:
    padded = CT.copy()
    padded[:32] = -2000
    data = dicom(padded, PixelPaddingValue=-2000)
    black, white = np.percentile(padded[32:], (1, 99))
    assert (decode(data, intensity="percentiles", percentiles=(1, 99)).pixels == line(padded, black, white)).all()


def test_full_range_ignores_the_window_of_the_file() -> None:
    data = dicom(WIDE, BitsStored=12, WindowCenter=100, WindowWidth=10)
    assert (decode(data, intensity="full").pixels == line(WIDE, 0, 4095)).all()


def test_a_negative_slope_turns_the_scale() -> None:
    data = dicom(WIDE, BitsStored=12, RescaleSlope=-1, RescaleIntercept=0)
    assert (decode(data).pixels == line(-WIDE.astype(int), -4095, 0)).all()


@pytest.mark.parametrize(
    ("function", "fraction"),
    [
        ("LINEAR", lambda x: (x - (2000 - 0.5)) / (1000 - 1) + 0.5),
        ("LINEAR_EXACT", lambda x: (x - 2000) / 1000 + 0.5),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 1000))),
    ],
)
def test_the_window_of_the_file_has_the_function_it_names(function: str, fraction: Any) -> None:
    data = dicom(WIDE, BitsStored=12, WindowCenter=2000, WindowWidth=1000, VOILUTFunction=function)
    wanted = np.rint(np.clip(fraction(WIDE.astype(float)), 0, 1) * 65535)
    assert np.abs(decode(data).pixels - wanted).max() <= 1


def test_the_first_of_several_windows_counts() -> None:
    data = dicom(WIDE, BitsStored=12, WindowCenter=[1000, 9], WindowWidth=[401, 9])
    assert (decode(data).pixels == line(WIDE, 799.5, 1199.5)).all()


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_that_is_none_is_refused_by_the_override(width: int) -> None:
    with pytest.raises(DataError, match=r"ct\.dcm.*Override: data\.input\.intensity=full"):
        decode(dicom(WIDE, WindowCenter=5, WindowWidth=width), name="ct.dcm")


def test_a_voi_table_comes_before_a_window() -> None:
    table = item(LUTDescriptor=[4, 1000, 8], LUTData=[0, 51, 204, 255])
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    data = dicom(WIDE, BitsStored=12, WindowCenter=5, WindowWidth=5, VOILUTSequence=Sequence([table]))
    found = decode(data).pixels.reshape(-1)
    assert found[[0, 1000, 1001, 1002, 1003, 4095]].tolist() == [0, 0, 13107, 52428, 65535, 65535]


def test_a_modality_table_comes_first() -> None:
    table = item(LUTDescriptor=[4096, 0, 16], LUTData=(np.arange(4096) * 16)[::-1].tolist(), ModalityLUTType="US")
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    data = dicom(WIDE, BitsStored=12, ModalityLUTSequence=Sequence([table]))
    assert (decode(data, intensity="window", window=(32760, 65520)).pixels == line(65520 - 16 * WIDE, 0, 65520)).all()


def test_a_voi_table_of_8_bits_may_have_more_than_256_entries() -> None:
    table = item(LUTDescriptor=[4096, 0, 8], LUTData=(np.arange(4096) // 16).tolist())
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    data = dicom(WIDE, BitsStored=12, VOILUTSequence=Sequence([table]))
    assert (decode(data).pixels == line(WIDE // 16, 0, 255)).all()


@pytest.mark.parametrize("policy", ["file", "full", "window", "percentiles"])
def test_monochrome1_is_inverted_last(policy: Any) -> None:
    facts = {"BitsStored": 12, "WindowCenter": 2000, "WindowWidth": 1000}
    how: dict[str, Any] = {"intensity": policy, "window": (900, 600), "percentiles": (5, 60)}
    plain = decode(dicom(WIDE, **facts), **how).pixels
    inverted = decode(dicom(WIDE, **facts, PhotometricInterpretation="MONOCHROME1"), **how).pixels
    assert np.abs(65535 - plain.astype(int) - inverted).max() <= 1


def test_bits_beside_those_that_are_stored_do_not_count() -> None:
    overlaid = WIDE | np.uint16(0xA000)
    assert (decode(dicom(overlaid, BitsStored=12)).pixels == line(WIDE, 0, 4095)).all()


def test_values_may_stand_in_the_upper_bits() -> None:
    assert (decode(dicom(WIDE << 4, BitsStored=12, HighBit=15)).pixels == line(WIDE, 0, 4095)).all()


def test_signed_values_of_12_bits_have_their_sign() -> None:
    stored = (np.arange(-2048, 2048, dtype=np.int16) & 0x0FFF).astype(np.int16).reshape(64, 64)
    found = decode(dicom(stored, BitsStored=12)).pixels.reshape(-1)
    assert (found == line(np.arange(-2048, 2048), -2048, 2047)).all()


def test_the_window_of_an_enhanced_file_is_that_of_the_frame() -> None:
    shared = item(PixelValueTransformationSequence=Sequence([item(RescaleSlope=2, RescaleIntercept=-100)]))
    frames = [
        item(FrameVOILUTSequence=Sequence([item(WindowCenter=centre, WindowWidth=1001)])) for centre in (1000, 4000)
    ]
    data = dicom(
        np.stack([WIDE, WIDE]),
        BitsStored=12,
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
    )
    for frame, centre in enumerate((1000, 4000)):
        wanted = line(2.0 * WIDE - 100, centre - 500.5, centre + 499.5)
        assert (decode(data, frame=frame).pixels == wanted).all()


@pytest.mark.parametrize("syntax", [None, RLE, J2K])
def test_of_several_frames_one_is_chosen(syntax: str | None) -> None:
    frames = np.stack([np.full((64, 64), value, np.uint8) for value in (10, 100, 200)])
    data = dicom(frames, syntax=syntax)
    assert [int(decode(data, frame=frame).pixels[0, 0]) for frame in (0, 1, 2)] == [10, 100, 200]
    with pytest.raises(DataError, match=r"echo\.dcm with 3 frames.*Override: data\.input\.frame=0"):
        decode(data, name="echo.dcm")
    with pytest.raises(DataError, match=r"no such frame.*data\.input\.frame=3"):
        decode(data, frame=3)


@pytest.mark.parametrize("wide", [False, True])
def test_a_palette_becomes_rgb(wide: bool) -> None:
    ramp = np.arange(256)
    columns = [ramp, 255 - ramp, ramp // 2]
    tables = {}
    for name, column in zip(("Red", "Green", "Blue"), columns, strict=True):
        entries = (column * 257).astype("<u2") if wide else column.astype(np.uint8)
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16 if wide else 8]
        tables[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    found = decode(dicom(GREY, PhotometricInterpretation="PALETTE COLOR", **tables)).pixels
    wanted = np.stack([column[GREY] for column in columns], axis=-1)
    assert found.dtype == (np.uint16 if wide else np.uint8)
    assert (found == wanted * (257 if wide else 1)).all()


def test_a_palette_in_segments_is_written_out() -> None:
    segments = np.array([0, 1, 0, 1, 255, 65535], "<u2").tobytes()  # 0, then a line to 65535
    tables = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    tables |= {f"Segmented{name}PaletteColorLookupTableData": segments for name in ("Red", "Green", "Blue")}
    found = decode(dicom(GREY, PhotometricInterpretation="PALETTE COLOR", **tables)).pixels
    assert (found == GREY[:, :, np.newaxis].astype(int) * 257).all()


def test_segments_that_never_end_are_refused() -> None:
    segments = np.array([0, 1, 0] + [1, 65535, 7] * 1000, "<u2").tobytes()
    tables = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    tables |= {f"Segmented{name}PaletteColorLookupTableData": segments for name in ("Red", "Green", "Blue")}
    with pytest.raises(DataError, match="Not a readable image"):
        decode(dicom(GREY, PhotometricInterpretation="PALETTE COLOR", **tables))


def test_a_window_on_colours_is_over_all_channels() -> None:
    found = decode(dicom(COLOUR), intensity="window", window=(100, 50)).pixels
    assert (found == line(COLOUR, 75, 125, 255)).all()


def test_floating_point_pixels_need_a_range() -> None:
    values = np.linspace(-5, 5, 64, dtype=np.float32).reshape(8, 8)
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(dicom(WIDE[:8, :8], BitsAllocated=32)))
    del dataset.PixelData
    dataset.FloatPixelData = values.tobytes()
    file = pydicom.filebase.DicomBytesIO()
    dataset.save_as(file)
    with pytest.raises(DataError, match=r"data\.input\.intensity=window"):
        decode(file.getvalue())
    assert (decode(file.getvalue(), intensity="window", window=(0, 4)).pixels == line(values, -2, 2)).all()


def test_32_bit_doses_are_read_over_their_range() -> None:
    dataset = pydicom.dcmread(FILES / "rtdose_1frame.dcm")
    wanted = line(dataset.pixel_array, 0, 2**32 - 1)
    assert (decode(real("rtdose_1frame.dcm")).pixels == wanted).all()


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_a_missing_decoder_is_named(name: str) -> None:
    if any(map(_installed, ("libjpeg", "gdcm"))):
        pytest.skip("pylibjpeg-libjpeg or python-gdcm is installed here")
    with pytest.raises(DataError, match=rf"not installed. Received: {name}, JPEG .*pylibjpeg-libjpeg"):
        decode(real(name), name=name)


@pytest.mark.parametrize(
    ("syntax", "name"), [(RLE, "pylibjpeg-rle"), (J2K, "pylibjpeg-openjpeg"), (JPEG_LS, "pyjpegls")]
)
def test_the_extra_is_named_where_its_decoders_are_missing(
    syntax: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dicom(WIDE, syntax=syntax)
    decoder = pydicom.pixels.get_decoder(syntax)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(DataError, match=rf"pip install medexp\[dicom\] \({name}\)"):
        decode(data)


def test_a_transfer_syntax_that_nobody_reads_is_refused() -> None:
    with pytest.raises(DataError, match=r"transfer syntax cannot be read.*MPEG2"):
        decode(mpeg())


def mpeg() -> bytes:
    dataset = pydicom.dcmread(FILES / "SC_rgb_jpeg_dcmtk.dcm")
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    file = pydicom.filebase.DicomBytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_what_holds_no_image_is_refused_as_what_it_is() -> None:
    with pytest.raises(DataError, match=r"holds no image. Received: report\.dcm, a SR"):
        decode(real("reportsi.dcm"), name="report.dcm")


def test_a_file_without_preamble_is_refused_with_a_hint() -> None:
    with pytest.raises(DataError, match="may be DICOM without a preamble"):
        decode(dicom(GREY)[132:])


def test_more_pixels_than_allowed_are_refused() -> None:
    with pytest.raises(DataError, match="64 x 64; at most 4,095"):
        decode(dicom(WIDE), max_pixels=4095)


@pytest.mark.parametrize("elements", [{"Rows": 60000, "Columns": 800}, {"NumberOfFrames": 2_000_000}])
def test_a_header_that_promises_more_than_there_is_is_refused(elements: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"too long|promises more pixels"):
        decode(dicom(WIDE, **elements), frame=0)


@pytest.mark.parametrize("syntax", [J2K, JPEG_LS])
def test_a_codestream_of_another_size_is_refused_before_it_is_decoded(syntax: str) -> None:
    data = dicom(WIDE, syntax=syntax)
    rows = data.index(b"\x28\x00\x10\x00US\x02\x00") + 8
    with pytest.raises(DataError, match=r"contradict each other.*64 x 63 x 1 in one, 64 x 64 x 1 in the other"):
        decode(data[:rows] + (63).to_bytes(2, "little") + data[rows + 2 :])


def deflated(body: bytes, data: bytes) -> bytes:
    """`data` with what follows its meta group replaced by `body`, deflated."""
    start = 144 + int.from_bytes(data[140:144], "little")
    meta = data[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    grown = bytearray(meta)
    grown[140:144] = (len(meta) - 144).to_bytes(4, "little")
    place = meta.index(b"1.2.840.10008.1.2.1.99")
    grown[place - 2 : place] = (22).to_bytes(2, "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return bytes(grown) + packer.compress(body) + packer.flush()


def test_a_deflated_file_is_read() -> None:
    data = dicom(GREY)
    start = 144 + int.from_bytes(data[140:144], "little")
    assert (decode(deflated(data[start:], data)).pixels == GREY).all()
    assert decode(real("image_dfl.dcm")).pixels.shape == (512, 512)


def test_a_deflated_file_that_unpacks_to_no_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medexp.imaging.dicom.INFLATED", 1 << 20)
    with pytest.raises(DataError, match="deflated file is too large"):
        decode(deflated(bytes((1 << 20) + 1), dicom(GREY)))


def _installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
