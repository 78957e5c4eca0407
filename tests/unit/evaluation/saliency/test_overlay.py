"""Maps over images."""

from __future__ import annotations

import numpy as np

from medexp.evaluation.saliency.overlay import overlay

GREY = np.full((40, 60, 1), 128.0)


def test_red_is_above_zero_blue_below_and_nothing_where_it_is_zero() -> None:
    found = overlay(GREY, np.array([[1.0, 0.0, -1.0]]), full=1.0).astype(int)
    assert found.shape == (40, 60, 3)
    red, middle, blue = found[20, 5], found[20, 30], found[20, 55]
    assert red[0] > red[2] + 40
    assert blue[2] > blue[0] + 40
    assert np.abs(middle - 128).max() <= 3


def test_each_value_lies_over_its_own_part_of_the_image() -> None:
    activation = np.zeros((4, 6))
    activation[3, 1] = 1.0
    found = overlay(GREY, activation, full=1.0).astype(int)
    redness = found[..., 0] - found[..., 2]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert 30 <= row < 40
    assert 10 <= column < 20


def test_a_colour_image_keeps_its_colours_where_the_map_says_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.float32)
    assert (overlay(image, np.zeros((2, 2)), full=1.0) == image).all()
    assert (overlay(image, np.zeros((2, 2)), full=0.0) == image).all()


def test_what_is_no_number_hides_nothing() -> None:
    assert (overlay(GREY, np.full((2, 2), np.nan), full=1.0) == 128).all()
