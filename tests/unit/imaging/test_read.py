from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import COLOUR, GREY, dicom, encoded
from PIL import Image

from medexp.errors import DataError
from medexp.imaging.decode import decode
from medexp.imaging.prepare import prepare
from medexp.imaging.read import read
from medexp.types import InputSpec

WIDE = GREY.astype(np.uint16) * 200
CASES = {
    "jpeg": encoded(COLOUR, "JPEG"),
    "png": encoded(GREY),
    "png-16": encoded(WIDE),
    "palette": encoded(Image.fromarray(COLOUR).quantize(64)),
    "dicom": dicom(WIDE, WindowCenter=20000, WindowWidth=9000),
    "dicom-rgb": dicom(COLOUR),
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("bits", [8, 16])
def test_reading_is_decoding_and_preparing(kind: str, channels: int, fit: Any, bits: Any) -> None:
    spec = InputSpec(20, 24, channels, fit, "percentiles", percentiles=(2, 98), bits=bits)
    found = read(CASES[kind], spec)
    decoded = decode(CASES[kind], intensity="percentiles", percentiles=(2, 98))
    assert (found.pixels.shape, found.pixels.dtype) == (spec.shape, spec.dtype)
    assert (found.pixels == prepare(decoded.pixels, spec)).all()
    assert (found.format, found.mode, found.bits) == (decoded.format, decoded.mode, decoded.bits)
    assert (found.width, found.height) == (GREY.shape[1], GREY.shape[0])


def test_the_window_and_the_frame_of_the_spec_are_used() -> None:
    frames = np.stack([WIDE, WIDE // 2])
    spec = InputSpec(*GREY.shape, 1, intensity="window", window=(10000, 20000), frame=1, bits=16)
    wanted = decode(dicom(WIDE // 2), intensity="window", window=(10000, 20000)).pixels
    assert (read(dicom(frames), spec).pixels[:, :, 0] == wanted).all()


def test_the_name_and_the_limit_are_handed_on() -> None:
    with pytest.raises(DataError, match=r"scan-7.*at most 5 are allowed"):
        read(CASES["png"], InputSpec(8, 8, 1), name="scan-7", max_pixels=5)


def test_too_little_memory_to_resize_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("medexp.imaging.read.prepare", fail)
    with pytest.raises(DataError, match=r"not enough memory.*scan-7"):
        read(CASES["png"], InputSpec(8, 8, 1), name="scan-7")


def test_a_real_crop_is_what_pillow_makes_of_it(red_cells: Path) -> None:
    """The same pixels as the plain loop that the speed of this one is measured against."""
    for path in sorted((red_cells / "images").rglob("*.jpg"))[::400]:
        wanted = np.asarray(Image.open(path).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))
        found = read(path.read_bytes(), InputSpec(64, 64, 3), name=str(path))
        assert (found.pixels == wanted).all()
        assert (found.format, found.mode, found.width, found.height, found.bits) == ("JPEG", "RGB", 80, 80, 8)


def test_importing_it_loads_nothing_that_is_heavy() -> None:
    heavy = ("pydicom", "tensorflow", "keras", "sklearn", "pandas", "scipy", "hydra", "mlflow", "pydantic")
    code = f"import medexp.imaging.read, sys; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
