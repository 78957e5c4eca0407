"""Read damaged images in a process of its own, and say how much processor time and memory the worst took.

python tests/image_fuzz.py SEED COUNT          random damage, one JSON line at the end
python tests/image_fuzz.py FILE ...            these files
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pictures import dicom, encoded
from PIL import Image

from medexp.errors import DataError
from medexp.imaging.read import read
from medexp.types import InputSpec

GIB = 1 << 30
RNG = np.random.default_rng(1)
SMALL = RNG.integers(0, 256, (33, 40, 3), dtype=np.uint8)
GREY = SMALL[:, :, 0]
WIDE = GREY.astype(np.uint16) * 257
EXTREMES = (0, 1, 0xFF, 0x7F, 0x80, 0xFFFF, 0x7FFF, 0x8000, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 20_000, 50_000_000)
SYNTAXES = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80")


def originals() -> list[tuple[str, bytes]]:
    """One small good file of every kind that is read."""
    import pydicom.data

    frames = [Image.fromarray(np.roll(SMALL, step, axis=0)) for step in range(3)]
    several: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    made = [(kind, encoded(SMALL, kind)) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP")]
    made += [(f"{kind} of several", encoded(frames[0], kind, **several)) for kind in ("PNG", "TIFF", "WEBP")]
    packed = ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")
    made += [(f"TIFF {name}", encoded(SMALL, "TIFF", compression=name)) for name in packed]
    made += [("PNG 16", encoded(WIDE)), ("TIFF 16", encoded(WIDE, "TIFF"))]
    made += [("PNG palette", encoded(Image.fromarray(SMALL).quantize(16))), ("BMP palette", encoded(GREY, "BMP"))]
    made += [("JPEG CMYK", encoded(Image.fromarray(SMALL).convert("CMYK"), "JPEG"))]
    made += [("JPEG progressive", encoded(SMALL, "JPEG", progressive=True))]
    made += [("TIFF float", encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"))]
    made += [("DICOM", dicom(WIDE, WindowCenter=30000, WindowWidth=9000)), ("DICOM RGB", dicom(SMALL))]
    made += [("DICOM frames", dicom(np.stack([WIDE, WIDE]), NumberOfFrames=2))]
    made += [(f"DICOM {syntax}", dicom(WIDE, syntax=syntax)) for syntax in SYNTAXES]
    folder = Path(pydicom.data.__file__).parent / "test_files"
    names = (
        "MR_small_jp2klossless",
        "SC_rgb_jpeg_dcmtk",
        "SC_rgb_small_odd_jpeg",
        "rtdose_rle",
        "image_dfl",
        "MR_small",
    )
    return made + [(name, (folder / f"{name}.dcm").read_bytes()) for name in names]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with a few bits flipped, numbers replaced by extreme ones, parts moved or cut; mostly near its start."""
    bad = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        if not bad:
            break
        place = int(len(bad) * rng.random() ** (1 if rng.random() < 0.5 else 4))
        kind = rng.integers(0, 6)
        if kind <= 1:
            bad[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            size = int(rng.choice((1, 2, 4)))
            number = int(rng.choice(EXTREMES)) & (1 << 8 * size) - 1
            bad[place : place + size] = number.to_bytes(size, "little" if rng.random() < 0.5 else "big")
        elif kind == 3:
            source = int(rng.integers(0, len(bad)))
            bad[place:place] = bad[source : source + int(rng.integers(1, 64))]
        elif kind == 4:
            del bad[place : place + int(rng.integers(1, 64))]
        elif rng.random() < 0.3:
            del bad[place:]
    return bytes(bad)


def specs() -> list[InputSpec]:
    """Ways to look at a file that lead through different code."""
    return [
        InputSpec(16, 16, 3),
        InputSpec(16, 16, 1, "crop", "window", window=(1000, 5000), frame=0, bits=16),
        InputSpec(16, 16, 1, "stretch", "percentiles", percentiles=(1, 99), frame=1),
        InputSpec(16, 16, 3, "letterbox", "full", frame=0),
    ]


def attempt(data: bytes, spec: InputSpec, *, name: str, max_pixels: int) -> str:
    """Read one file: "read" or "refused"; whatever else happens is a failure of the test."""
    try:
        found = read(data, spec, name=name, max_pixels=max_pixels)
    except DataError as error:
        if name not in str(error) and "data.input." not in str(error):
            raise AssertionError(f"an error that does not name the file: {error}") from error
        return "refused"
    assert found.pixels.shape == spec.shape, found.pixels.shape
    assert found.pixels.dtype == spec.dtype, found.pixels.dtype
    return "read"


def cases(seed: int, count: int) -> Iterator[tuple[str, bytes, InputSpec, int]]:
    """The same damage for the same seed."""
    rng = np.random.default_rng(seed)
    good, ways = originals(), specs()
    for number in range(count):
        kind, data = good[number % len(good)]
        yield f"{kind}-{seed}-{number}", damaged(data, rng), ways[number // len(good) % len(ways)], 1_000_000


def given(paths: list[str]) -> Iterator[tuple[str, bytes, InputSpec, int]]:
    """Files as they are, at the service's own limit."""
    for path in paths:
        for spec in specs():
            yield Path(path).name, Path(path).read_bytes(), spec, 50_000_000


def main(arguments: list[str]) -> None:
    """Read all, within a gibibyte."""
    faulthandler.enable()
    work = cases(*map(int, arguments)) if arguments[0].isdigit() else given(arguments)
    for spec in specs():  # import what is imported late
        for name, data in originals():
            attempt(data, spec, name=name, max_pixels=1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + GIB, size + GIB))
    counts = {"read": 0, "refused": 0}
    slowest, seconds = "", 0.0
    for name, data, spec, limit in work:
        sys.stderr.write(f"{name}\n")  # the last one, should the process die
        start = time.process_time()
        counts[attempt(data, spec, name=name, max_pixels=limit)] += 1
        if time.process_time() - start > seconds:
            slowest, seconds = name, time.process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(json.dumps({**counts, "slowest": slowest, "seconds": round(seconds, 2), "grown": grown}))


if __name__ == "__main__":
    main(sys.argv[1:])
