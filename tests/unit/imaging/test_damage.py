from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_fuzz import GIB, attempt, originals, specs
from lies import lies

TESTS = Path(__file__).resolve().parents[2]
DEADLINE = 20.0  # seconds of a processor for one file; the largest honest ones take four
LARGE = {"png-pixels-beyond-its-header", "bmp-runs", "webp-frames"}
LARGE |= {f"dicom-{what}-without-end" for what in ("elements", "items", "fragments")}
GOOD = originals()


def report(*arguments: str, timeout: float) -> dict[str, Any]:
    """Read damaged files in a process that may not grow by more than a gibibyte."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", str(TESTS / "image_fuzz.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS), "RUST_BACKTRACE": "0"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    assert ended.returncode == 0, f"the process ended with {ended.returncode}: {ended.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert found["seconds"] < DEADLINE, found
    assert found["grown"] < GIB, found
    return found


@pytest.mark.parametrize(("kind", "data"), GOOD, ids=[kind for kind, _ in GOOD])
def test_what_is_damaged_below_was_good(kind: str, data: bytes) -> None:
    assert "read" in {attempt(data, spec, name=kind, max_pixels=1_000_000) for spec in specs()}


@settings(max_examples=400, deadline=None)
@given(
    original=st.sampled_from([data for _, data in GOOD]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=8),
    keep=st.floats(0, 1),
    spec=st.sampled_from(specs()),
)
def test_damage_is_a_data_error_that_names_the_file_or_an_image(
    original: bytes, flips: list[tuple[float, int]], keep: float, spec: Any
) -> None:
    damaged = bytearray(original)
    for place, bit in flips:
        damaged[int(place * len(damaged))] ^= 1 << bit
    if keep < 0.5:
        del damaged[int(2 * keep * len(damaged)) :]
    attempt(bytes(damaged), spec, name="scan-7", max_pixels=1_000_000)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"BM", b"RIFF"]))
def test_noise_is_refused(noise: bytes, magic: bytes) -> None:
    for data in (magic + noise, noise.ljust(128, b"\0")[:128] + b"DICM" + noise):
        attempt(data, specs()[0], name="scan-7", max_pixels=1_000_000)


def test_thousands_of_damaged_files_neither_crash_nor_hang_nor_fill_the_memory() -> None:
    found = report("0", "3000", timeout=120)
    assert found["read"] > 200
    assert found["refused"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_hundred_thousand_damaged_files_neither_crash_nor_hang_nor_fill_the_memory(seed: int) -> None:
    assert report(str(seed), "25000", timeout=900)["refused"] > 10_000


QUICK = [name for name in lies() if "largest" not in name and name not in LARGE]
HEAVY = [name for name in lies() if name not in QUICK]


def test_files_that_lie_are_refused_or_read_within_bounds(tmp_path: Path) -> None:
    for name in QUICK:
        (tmp_path / name).write_bytes(lies()[name]())
    report(*[str(tmp_path / name) for name in QUICK], timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_the_largest_files_and_the_slowest_stay_within_bounds(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(lies()[name]())
    report(str(tmp_path / name), timeout=300)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("jpeg-scans-without-end", "too many scans"),
        ("png-profile-bomb", "too many colour profiles"),
        ("tiff-huge-tiles", "tiles are larger than the image"),
        ("webp-largest-canvas", "too many pixels"),
        ("dicom-fragments-without-end", "would not end soon"),
        ("dicom-rle-bomb", "Not a readable image"),
        ("dicom-j2k-size", "contradict each other"),
        ("dicom-j2k-tiles", "too many tiles"),
        ("dicom-rows-and-frames", "too many pixels"),
        ("dicom-empty-image", "no pixels"),
    ],
)
def test_a_lie_is_refused_for_its_own_reason(name: str, reason: str) -> None:
    from medexp.errors import DataError
    from medexp.imaging.read import read

    with pytest.raises(DataError, match=rf"{reason}.*{name}"):
        read(lies()[name](), specs()[3], name=name)


def test_the_damage_is_the_same_for_the_same_seed() -> None:
    from image_fuzz import damaged

    data = GOOD[0][1]
    assert damaged(data, np.random.default_rng(3)) == damaged(data, np.random.default_rng(3)) != data
