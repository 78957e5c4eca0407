from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pictures import COLOUR, FORMATS, GREY, encoded, png, png_that_claims, tiff
from PIL import Image

from medexp.errors import DataError
from medexp.imaging.decode import decode


@pytest.mark.parametrize("kind", FORMATS)
def test_a_colour_image_comes_back(kind: str) -> None:
    pixels = decode(encoded(COLOUR, kind)).pixels
    assert (pixels.shape, pixels.dtype) == (COLOUR.shape, np.uint8)
    assert np.abs(pixels.astype(int) - COLOUR).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_a_grey_image_has_two_dimensions(kind: str) -> None:
    pixels = decode(encoded(GREY, kind)).pixels
    assert (pixels.shape, pixels.dtype) == (GREY.shape, np.uint8)
    assert np.abs(pixels.astype(int) - GREY).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_stay(kind: str) -> None:
    wide = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    found = decode(encoded(wide, kind))
    assert (found.pixels.tolist(), found.pixels.dtype, found.bits) == (wide.tolist(), np.uint16, 16)


def test_big_endian_16_bits_are_read_as_such() -> None:
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 0x0101, 0xFF00))
    assert decode(encoded(image, "TIFF")).pixels.tolist() == [[0x0101, 0xFF00]]


def test_12_bits_fill_the_range_of_16() -> None:
    """Three bytes hold two samples: 0xFFF and 0x800."""
    found = decode(tiff({256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 277: 1, 278: 1}, b"\xff\xf8\x00"))
    assert (found.pixels.tolist(), found.bits) == ([[65535, round(0x800 * 65535 / 4095)]], 12)


def test_16_bits_of_which_white_is_zero_are_inverted() -> None:
    stored = struct.pack("<HH", 0, 65535)
    assert decode(tiff({256: 2, 257: 1, 258: 16, 259: 1, 262: 0, 277: 1, 278: 1}, stored)).pixels.tolist() == [
        [65535, 0]
    ]


def test_signed_16_bits_start_at_black() -> None:
    stored = struct.pack("<hhh", -32768, 0, 32767)
    tags = {256: 3, 257: 1, 258: 16, 259: 1, 262: 1, 277: 1, 278: 1, 339: 2}
    assert decode(tiff(tags, stored)).pixels.tolist() == [[0, 32768, 65535]]


def test_16_bit_grey_with_transparency_is_grey() -> None:
    header = struct.pack(">IIBBBBB", 1, 1, 16, 4, 0, 0, 0)
    found = decode(png(header, (b"IDAT", zlib.compress(b"\0" + struct.pack(">HH", 0x8012, 7)))))
    assert found.pixels.tolist() == [[0x80]]
    assert found.bits == 16


def test_a_palette_becomes_its_colours() -> None:
    assert (decode(encoded(Image.fromarray(COLOUR).quantize(256))).pixels == COLOUR).all()


def test_a_bilevel_image_is_black_and_white() -> None:
    assert decode(encoded(Image.fromarray(GREY > 100))).pixels.tolist() == (255 * (GREY > 100)).tolist()


@pytest.mark.parametrize(("pixels", "mode"), [(COLOUR, "RGBA"), (GREY, "LA")])
def test_transparency_is_dropped(pixels: np.ndarray, mode: str) -> None:
    image = Image.fromarray(pixels).convert(mode)
    image.putalpha(7)
    assert (decode(encoded(image)).pixels == pixels).all()


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(decode(encoded(image, "JPEG")).pixels[0, 0].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (6, lambda a: np.rot90(a, -1)), (8, np.rot90)],
)
@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})], ids=["png", "tiff", "lzw"]
)
def test_the_orientation_of_the_camera_is_applied(
    kind: str, options: dict[str, str], orientation: int, upright: Callable[[np.ndarray], np.ndarray]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (decode(encoded(GREY, kind, exif=exif, **options)).pixels == upright(GREY)).all()


def pages(kind: str) -> bytes:
    several = [Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in (10, 100, 200)]
    return encoded(several[0], kind, save_all=True, append_images=several[1:])


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_a_file_of_several_images_is_refused_by_the_override_that_chooses(kind: str) -> None:
    with pytest.raises(DataError, match=r"several images.*scan\.tif.*Override: data\.input\.frame=0"):
        decode(pages(kind), name="scan.tif")


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_the_frame_that_was_chosen_is_read(kind: str) -> None:
    assert [int(decode(pages(kind), frame=frame).pixels[0, 0, 0]) for frame in (0, 1, 2)] == [10, 100, 200]


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG", "JPEG"])
def test_a_frame_that_is_not_there_is_refused(kind: str) -> None:
    data = encoded(GREY, "JPEG") if kind == "JPEG" else pages(kind)
    with pytest.raises(DataError, match=r"no such frame.*data\.input\.frame=3"):
        decode(data, frame=3)


def test_a_negative_frame_is_refused() -> None:
    with pytest.raises(DataError, match=r"count from 0.*frame=-1"):
        decode(encoded(GREY), frame=-1)


def animation(frames: int) -> bytes:
    """A WebP of `frames` different pictures of 4 x 4."""
    several = [Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in range(frames)]
    return encoded(several[0], "WEBP", save_all=True, append_images=several[1:])


def test_a_frame_behind_too_many_pixels_is_refused() -> None:
    with pytest.raises(DataError, match="Too many pixels come before"):
        decode(animation(200), frame=199, max_pixels=16)
    assert decode(animation(12), frame=10, max_pixels=16).pixels.shape == (4, 4, 3)


def test_a_preview_beside_the_picture_is_no_frame() -> None:
    first, preview = Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)
    file = io.BytesIO()
    first.save(file, "MPO", save_all=True, append_images=[preview], quality=100, subsampling=0)
    found = decode(file.getvalue())
    assert found.format == "JPEG"
    with pytest.raises(DataError, match="no such frame"):
        decode(file.getvalue(), frame=1)
    assert np.abs(found.pixels.astype(int) - COLOUR).max() <= 3


def test_cmyk_that_adobe_did_not_write_is_not_inverted() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    start = data.index(b"\xff\xee")
    without = data[:start] + data[start + 2 + struct.unpack_from(">H", data, start + 2)[0] :]
    assert np.abs(decode(data).pixels[0, 0].astype(int) - [255, 0, 0]).max() <= 3
    assert np.abs(decode(without).pixels[0, 0].astype(int) - [0, 0, 0]).max() <= 3


def test_a_transparent_palette_gives_its_colours() -> None:
    image = Image.fromarray(COLOUR).quantize(256)
    assert (decode(encoded(image, transparency=bytes(range(256)))).pixels == COLOUR).all()


@pytest.mark.parametrize(
    ("image", "kind", "mode", "bits"),
    [
        (Image.fromarray(GREY), "PNG", "L", 8),
        (Image.fromarray(GREY > 100), "PNG", "1", 1),
        (Image.fromarray(GREY > 100), "TIFF", "1", 1),
        (Image.fromarray(COLOUR).quantize(16), "PNG", "P", 4),
        (Image.fromarray(COLOUR), "WEBP", "RGB", 8),
        (Image.fromarray(GREY.astype(np.uint16)), "PNG", "I;16", 16),
        (Image.fromarray(COLOUR).convert("CMYK"), "JPEG", "CMYK", 8),
    ],
)
def test_the_facts_of_the_file_are_told(image: Image.Image, kind: str, mode: str, bits: int) -> None:
    found = decode(encoded(image, kind))
    assert (found.format, found.mode, found.bits) == (kind, mode, bits)
    assert (found.width, found.height) == (GREY.shape[1], GREY.shape[0])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_the_size_is_that_of_the_file_before_it_is_turned(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode(encoded(GREY, kind, exif=exif))
    assert (found.width, found.height) == found.pixels.shape == (GREY.shape[1], GREY.shape[0])


def scaled(values: np.ndarray, black: float, white: float, top: int) -> np.ndarray:
    return np.rint(np.clip((values.astype(float) - black) / (white - black), 0, 1) * top)


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_window_is_in_stored_values_over_all_channels(pixels: np.ndarray) -> None:
    found = decode(encoded(pixels), intensity="window", window=(100, 50)).pixels
    assert (found == scaled(pixels, 75, 125, 255)).all()


def test_a_window_of_16_bits_keeps_16_bits() -> None:
    wide = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    found = decode(encoded(wide), intensity="window", window=(1000, 400)).pixels
    assert found.dtype == np.uint16
    assert (found == scaled(wide, 800, 1200, 65535)).all()


@pytest.mark.parametrize("wanted", [(0.0, 100.0), (1.0, 99.0), (0.5, 63.7)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_percentiles_are_numpys(kind: type, wanted: tuple[float, float]) -> None:
    values = np.random.default_rng(0).gamma(2, 20, (37, 41)).clip(0, 255).astype(kind)
    found = decode(encoded(values, "TIFF"), intensity="percentiles", percentiles=wanted).pixels
    black, white = np.percentile(values, wanted)
    top = 255 if kind == np.uint8 else 65535
    assert np.abs(found - scaled(values, black, white, top)).max() <= (1 if kind == np.float32 else 0)


def test_percentiles_of_colour_are_over_all_channels() -> None:
    found = decode(encoded(COLOUR), intensity="percentiles", percentiles=(5, 95)).pixels
    assert (found == scaled(COLOUR, *np.percentile(COLOUR, (5, 95)), 255)).all()


def test_an_image_of_one_value_has_no_contrast_to_stretch() -> None:
    flat = np.full((4, 4), 77, np.uint8)
    assert (decode(encoded(flat), intensity="percentiles", percentiles=(1, 99)).pixels == 0).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
@pytest.mark.parametrize("policy", ["file", "full"])
def test_32_bits_need_a_range_and_the_error_says_how(kind: type, policy: Any) -> None:
    data = encoded(Image.fromarray(np.array([[0, 70000]], kind)), "TIFF")
    with pytest.raises(DataError, match=r"scan\.tif.*data\.input\.intensity=percentiles"):
        decode(data, name="scan.tif", intensity=policy)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_32_bits_are_read_through_a_window(kind: type) -> None:
    data = encoded(Image.fromarray(np.array([[-10, 0, 500, 1000, 70000]], kind)), "TIFF")
    found = decode(data, intensity="window", window=(500, 1000))
    assert found.pixels.tolist() == [[0, 0, 32768, 65535, 65535]]
    assert found.bits == 32


def test_unsigned_32_bits_have_no_sign() -> None:
    tags = {256: 3, 257: 1, 258: 32, 259: 1, 262: 1, 277: 1, 278: 1, 339: 1}
    data = tiff(tags, struct.pack("<3I", 0, 3_000_000_000, 2**32 - 1))
    found = decode(data, intensity="window", window=(3_000_000_000, 2_000_000_000)).pixels
    assert found.tolist() == [[0, 32768, 65535]]


def test_what_is_no_number_is_black_and_no_percentile() -> None:
    values = np.array([[np.nan, np.inf, 0, 1]], np.float32)
    data = encoded(Image.fromarray(values), "TIFF")
    assert decode(data, intensity="percentiles", percentiles=(0, 100)).pixels.tolist() == [[0, 65535, 0, 65535]]
    with pytest.raises(DataError, match="no number"):
        decode(encoded(Image.fromarray(values[:, :2]), "TIFF"), intensity="percentiles", percentiles=(0, 100))


@pytest.mark.parametrize("window", [None, (1, 0), (1, -5), (float("nan"), 5)])
def test_a_window_that_is_none_is_refused(window: Any) -> None:
    with pytest.raises(DataError, match=r"Override: data\.input\.window"):
        decode(encoded(GREY), intensity="window", window=window)


@pytest.mark.parametrize("percentiles", [None, (5, 5), (9, 1), (-1, 99), (0, 101)])
def test_percentiles_that_are_none_are_refused(percentiles: Any) -> None:
    with pytest.raises(DataError, match=r"Override: data\.input\.percentiles"):
        decode(encoded(GREY), intensity="percentiles", percentiles=percentiles)


def test_an_empty_file_is_said_to_be_empty() -> None:
    with pytest.raises(DataError, match=r"empty.*chest\.png with 0 bytes"):
        decode(b"", name="chest.png")


def test_a_file_that_is_no_image_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"Not a readable image.*notes\.txt, 11 bytes"):
        decode(b"hello world", name="notes.txt")


def test_a_format_that_is_not_listed_is_refused() -> None:
    with pytest.raises(DataError, match="Send a PNG, JPEG, TIFF, BMP, WEBP or DICOM file"):
        decode(encoded(GREY, "GIF"))


@pytest.mark.parametrize("kind", FORMATS)
def test_half_a_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    whole = encoded(noise, kind)
    with pytest.raises(DataError, match="Not a readable image"):
        decode(whole[: len(whole) // 2])


@pytest.mark.parametrize("side", [10_000, 20_000, 2_000_000])
def test_too_many_pixels_are_refused_from_the_header(side: int) -> None:
    with pytest.raises(DataError, match="too many pixels"):
        decode(png_that_claims(side, side))


def test_as_many_pixels_as_allowed_are_accepted() -> None:
    assert decode(encoded(GREY), max_pixels=GREY.size).pixels.shape == GREY.shape
    with pytest.raises(DataError, match=f"{GREY.shape[1]} x {GREY.shape[0]}; at most {GREY.size - 1} are allowed"):
        decode(encoded(GREY), max_pixels=GREY.size - 1)


def test_a_claim_within_the_limit_is_read_and_found_to_be_a_lie() -> None:
    with pytest.raises(DataError, match="Not a readable image"):
        decode(png_that_claims(100, 100))


def test_a_side_that_is_too_long_is_refused_from_the_header() -> None:
    with pytest.raises(DataError, match=r"too long.*20001 x 3"):
        decode(png_that_claims(20_001, 3))


def test_a_webp_is_refused_before_its_canvas_is_made() -> None:
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (9_999).to_bytes(3, "little") * 2
    with pytest.raises(DataError, match="10000 x 10000"):
        decode(b"RIFF" + struct.pack("<I", len(canvas) + 4) + b"WEBP" + canvas)


@pytest.mark.parametrize("options", [{}, {"lossless": True}])
def test_the_size_of_a_webp_is_found_in_each_of_its_kinds(options: dict[str, bool]) -> None:
    file = io.BytesIO()
    Image.fromarray(COLOUR).save(file, "WEBP", **options)
    with pytest.raises(DataError, match=f"{COLOUR.shape[1]} x {COLOUR.shape[0]}"):
        decode(file.getvalue(), max_pixels=5)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_measured_before_its_frames_are_decoded(kind: str) -> None:
    with pytest.raises(DataError, match="4 x 4; at most 15"):
        decode(pages(kind), frame=2, max_pixels=15)


def test_a_page_of_another_size_is_measured_too() -> None:
    small, large = Image.new("L", (4, 4)), Image.new("L", (40, 40))
    data = encoded(small, "TIFF", save_all=True, append_images=[large])
    assert decode(data, frame=1).pixels.shape == (40, 40)
    with pytest.raises(DataError, match="40 x 40; at most 100"):
        decode(data, frame=1, max_pixels=100)
