from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medexp.imaging.prepare import prepare
from medexp.types import InputSpec

RNG = np.random.default_rng(0)


def spec(height: int, width: int, channels: int = 1, fit: Any = "letterbox", bits: Any = 8) -> InputSpec:
    return InputSpec(height, width, channels, fit, bits=bits)


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_pixels_of_the_right_size_are_unchanged(shape: tuple[int, ...], fit: str) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    channels = 3 if shape[2:] == (3,) else 1
    assert (prepare(pixels, spec(5, 7, channels, fit)) == pixels.reshape(5, 7, channels)).all()


def test_a_wide_image_is_centred_between_black_bars() -> None:
    prepared = prepare(np.full((10, 20), 200, np.uint8), spec(20, 20))[:, :, 0]
    assert (prepared[5:15] == 200).all()
    assert (prepared[:5] == 0).all()
    assert (prepared[15:] == 0).all()


def test_a_tall_image_is_centred_between_black_bars() -> None:
    prepared = prepare(np.full((40, 20), 200, np.uint8), spec(20, 20))[:, :, 0]
    assert (prepared[:, 5:15] == 200).all()
    assert (prepared[:, :5] == 0).all()
    assert (prepared[:, 15:] == 0).all()


def test_a_letterboxed_disc_stays_round() -> None:
    y, x = np.mgrid[:60, :120]
    disc = (255 * ((x - 60) ** 2 + (y - 30) ** 2 < 20**2)).astype(np.uint8)
    inside = prepare(disc, spec(60, 60))[:, :, 0] > 127
    assert inside.any(axis=0).sum() == inside.any(axis=1).sum() == 20


def test_stretching_fills_the_frame() -> None:
    assert (prepare(np.full((10, 20), 200, np.uint8), spec(20, 20, fit="stretch")) == 200).all()


def test_grey_is_repeated_for_colour() -> None:
    pixels = RNG.integers(0, 256, (6, 6), dtype=np.uint8)
    assert (prepare(pixels, spec(6, 6, 3)) == pixels[:, :, np.newaxis]).all()


@pytest.mark.parametrize(("colour", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)])
def test_colour_becomes_grey_by_luma(colour: tuple[int, int, int], luma: int) -> None:
    assert (prepare(np.full((4, 4, 3), colour, np.uint8), spec(4, 4)) == luma).all()


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    checkerboard = (255 * (np.indices((64, 64)).sum(axis=0) % 2)).astype(np.uint8)
    assert np.abs(prepare(checkerboard, spec(8, 8)).astype(int) - 127.5).max() < 8


def test_enlarging_interpolates() -> None:
    prepared = prepare(np.array([[0, 200]], np.uint8), spec(1, 8, fit="stretch"))[0, :, 0]
    assert (np.diff(prepared.astype(int)) >= 0).all()
    assert len(set(prepared.tolist())) > 2


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([1, 3]),
    st.sampled_from(["letterbox", "crop", "stretch"]),
    st.sampled_from([(np.uint8, 8), (np.uint8, 16), (np.uint16, 8), (np.uint16, 16)]),
)
def test_every_size_becomes_the_size_that_was_asked_for(
    size: tuple[int, int], wanted: tuple[int, int], channels: int, fit: str, kinds: tuple[type, int]
) -> None:
    stored, bits = kinds
    prepared = prepare(np.full(size, np.iinfo(stored).max, stored), spec(*wanted, channels, fit, bits))
    assert (prepared.shape, prepared.dtype) == ((*wanted, channels), np.dtype(f"uint{bits}"))
    assert prepared.max() == 2**bits - 1
    assert fit == "letterbox" or prepared.min() == prepared.max()


@pytest.mark.parametrize(("size", "kept"), [((20, 60), np.s_[:, 20:40]), ((60, 20), np.s_[20:40, :])])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_cropping_keeps_the_centre_and_the_shape(size: tuple[int, int], kept: Any, kind: type) -> None:
    pixels = RNG.integers(0, np.iinfo(kind).max, size).astype(kind)
    bits = 8 * np.dtype(kind).itemsize
    assert (prepare(pixels, spec(20, 20, fit="crop", bits=bits))[:, :, 0] == pixels[kept]).all()


def test_cropping_keeps_a_disc_round() -> None:
    y, x = np.mgrid[:60, :120]
    disc = (255 * ((x - 60) ** 2 + (y - 30) ** 2 < 20**2)).astype(np.uint8)
    inside = prepare(disc, spec(30, 30, fit="crop"))[:, :, 0] > 127
    assert abs(int(inside.any(axis=0).sum()) - int(inside.any(axis=1).sum())) <= 1
    assert 19 <= inside.any(axis=0).sum() <= 21


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_16_bits_of_the_right_size_are_unchanged(shape: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 65536, shape, dtype=np.uint16)
    channels = 3 if len(shape) == 3 else 1
    assert (prepare(pixels, spec(5, 7, channels, bits=16)) == pixels.reshape(5, 7, channels)).all()


def test_8_bits_become_16_by_257() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (prepare(pixels, spec(16, 16, bits=16))[:, :, 0] == pixels.astype(int) * 257).all()


def test_16_bits_become_8_rounded() -> None:
    pixels = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    assert prepare(pixels, spec(1, 6))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_16_bits_are_resized_as_8_bits_are() -> None:
    pixels = RNG.integers(0, 256, (50, 71, 3), dtype=np.uint8)
    for fit in ("letterbox", "crop", "stretch"):
        eight = prepare(pixels, spec(16, 20, 3, fit)).astype(float)
        sixteen = prepare(pixels.astype(np.uint16) * 257, spec(16, 20, 3, fit, 16)) / 257
        assert np.abs(eight - sixteen).max() <= 1  # Pillow rounds 8 bits after each of two passes


def test_levels_between_those_of_8_bits_survive_resizing() -> None:
    pixels = np.repeat(np.arange(1000, 1064, dtype=np.uint16)[np.newaxis], 64, axis=0)
    found = prepare(pixels, spec(32, 32, bits=16))[0, :, 0].astype(int)
    assert (np.diff(found[1:-1]) == 2).all()


@pytest.mark.parametrize(("colour", "luma"), [((65535, 0, 0), 19595), ((0, 65535, 0), 38469), ((0, 0, 65535), 7471)])
def test_16_bit_colour_becomes_grey_by_luma(colour: tuple[int, int, int], luma: int) -> None:
    assert (prepare(np.full((4, 4, 3), colour, np.uint16), spec(4, 4, bits=16)) == luma).all()


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_picture_of_pillow_is_prepared_as_its_array_is(shape: tuple[int, ...], channels: int, bits: int) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    wanted = spec(16, 20, channels, "crop", bits)
    assert (prepare(Image.fromarray(pixels), wanted) == prepare(pixels, wanted)).all()


def test_8_bits_are_resized_as_pillow_resizes() -> None:
    """Weights of networks that were trained on such pixels stay good."""
    pixels = RNG.integers(0, 256, (50, 71, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(pixels).resize((20, 16), Image.Resampling.BILINEAR))
    assert (prepare(pixels, spec(16, 20, 3, "stretch")) == wanted).all()
