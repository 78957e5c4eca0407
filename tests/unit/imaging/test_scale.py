from __future__ import annotations

import numpy as np

from medexp.imaging.scale import scale


def test_8_bits_stay_as_they_are() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    assert scale(pixels) is pixels


def test_16_bits_run_from_0_to_255_and_keep_the_levels_between() -> None:
    found = scale(np.arange(65536, dtype=np.uint16))
    assert found.dtype == np.float32
    assert found[[0, 257, 65535]].tolist() == [0, 1, 255]
    assert (np.diff(found) > 0).all()


def test_what_is_scaled_already_stays() -> None:
    assert scale(np.array([255.0], np.float32)).tolist() == [255.0]
