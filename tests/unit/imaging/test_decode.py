from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medexp.errors import DataError
from medexp.imaging.decode import decode

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

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_colour_image_comes_back(kind: str) -> None:
    pixels = decode(encoded(COLOUR, kind))
    assert (pixels.shape, pixels.dtype) == (COLOUR.shape, np.uint8)
    assert np.abs(pixels.astype(int) - COLOUR).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_a_grey_image_has_two_dimensions(kind: str) -> None:
    pixels = decode(encoded(GREY, kind))
    assert (pixels.shape, pixels.dtype) == (GREY.shape, np.uint8)
    assert np.abs(pixels.astype(int) - GREY).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_over_their_full_range(kind: str) -> None:
    wide = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    assert decode(encoded(wide, kind)).tolist() == [[0, 0, 1, 1, 128, 255]]


def test_big_endian_16_bits_are_read_as_such() -> None:
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 0x0101, 0xFF00))
    assert decode(encoded(image, "TIFF")).tolist() == [[1, 254]]


def test_a_palette_becomes_its_colours() -> None:
    assert (decode(encoded(Image.fromarray(COLOUR).quantize(256))) == COLOUR).all()


def test_a_bilevel_image_is_black_and_white() -> None:
    assert decode(encoded(Image.fromarray(GREY > 100))).tolist() == (255 * (GREY > 100)).tolist()


@pytest.mark.parametrize(("pixels", "mode"), [(COLOUR, "RGBA"), (GREY, "LA")])
def test_transparency_is_dropped(pixels: np.ndarray, mode: str) -> None:
    image = Image.fromarray(pixels).convert(mode)
    image.putalpha(7)
    assert (decode(encoded(image)) == pixels).all()


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(decode(encoded(image, "JPEG"))[0, 0].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (6, lambda a: np.rot90(a, -1)), (8, np.rot90)],
)
def test_the_orientation_of_the_camera_is_applied(orientation: int, upright: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (decode(encoded(GREY, "PNG", exif=exif)) == upright(GREY)).all()


def test_a_tiff_of_several_pages_is_its_first() -> None:
    pages = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    assert (decode(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])) == 10).all()


def test_an_empty_file_is_said_to_be_empty() -> None:
    with pytest.raises(DataError, match=r"empty.*chest\.png with 0 bytes"):
        decode(b"", name="chest.png")


def test_a_file_that_is_no_image_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"Not a readable image.*notes\.txt, 11 bytes"):
        decode(b"hello world", name="notes.txt")


def test_a_format_that_is_not_listed_is_refused() -> None:
    with pytest.raises(DataError, match="Send a PNG, JPEG, TIFF, BMP, WEBP file"):
        decode(encoded(GREY, "GIF"))


@pytest.mark.parametrize("kind", FORMATS)
def test_half_a_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    whole = encoded(noise, kind)
    with pytest.raises(DataError, match="Not a readable image"):
        decode(whole[: len(whole) // 2])


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(DataError):
        decode(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


@pytest.mark.parametrize("side", [10_000, 20_000, 2_000_000])
def test_too_many_pixels_are_refused_from_the_header(side: int) -> None:
    with pytest.raises(DataError, match="too many pixels"):
        decode(png_that_claims(side, side))


def test_as_many_pixels_as_allowed_are_accepted() -> None:
    assert decode(encoded(GREY), max_pixels=GREY.size).shape == GREY.shape
    with pytest.raises(DataError, match=f"{GREY.shape[1]} x {GREY.shape[0]}; at most {GREY.size - 1} are allowed"):
        decode(encoded(GREY), max_pixels=GREY.size - 1)


def test_a_claim_within_the_limit_is_read_and_found_to_be_a_lie() -> None:
    with pytest.raises(DataError, match="Not a readable image"):
        decode(png_that_claims(100, 100))


SMALL = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
REAL = [encoded(SMALL, kind) for kind in FORMATS]
REAL += [encoded(SMALL[:, :, 0].astype(np.uint16) * 257), encoded(Image.fromarray(SMALL).quantize(16))]
REAL += [encoded(SMALL, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg")]


@settings(max_examples=400, deadline=None)
@given(
    original=st.sampled_from(REAL),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=8),
    keep=st.floats(0, 1),
)
def test_damage_is_a_data_error_or_an_image(original: bytes, flips: list[tuple[float, int]], keep: float) -> None:
    damaged = bytearray(original)
    for place, bit in flips:
        damaged[int(place * len(damaged))] ^= 1 << bit
    if keep < 0.5:
        del damaged[int(2 * keep * len(damaged)) :]
    try:
        pixels = decode(bytes(damaged), max_pixels=1_000_000)
    except DataError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2 or pixels.shape[2] == 3


def test_integers_beyond_16_bits_are_refused_not_clipped() -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(file, "TIFF")
    with pytest.raises(DataError, match="Not a readable image"):
        decode(file.getvalue())
