from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medexp.imaging.prepare import prepare
from medexp.types import InputSpec

RNG = np.random.default_rng(0)


def spec(height: int, width: int, channels: int = 1, fit: str = "letterbox") -> InputSpec:
    return InputSpec(height, width, channels, fit)


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
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
    st.sampled_from(["letterbox", "stretch"]),
)
def test_every_size_becomes_the_size_that_was_asked_for(
    size: tuple[int, int], wanted: tuple[int, int], channels: int, fit: str
) -> None:
    prepared = prepare(np.full(size, 255, np.uint8), spec(*wanted, channels, fit))
    assert (prepared.shape, prepared.dtype) == ((*wanted, channels), np.uint8)
    assert prepared.max() == 255
