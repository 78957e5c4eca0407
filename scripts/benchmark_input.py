"""The measurements of `benchmark.py input`: each runs in a process of its own and prints one number."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_COMMON = """
import os, sys, time
from pathlib import Path
import numpy as np
from medexp.types import InputSpec
scratch, cells = Path(sys.argv[1]), Path(sys.argv[2])
PATHS = sorted(cells.glob("images/*/*.jpg"))

def cached(paths, side, folder=scratch / "cache"):
    from medexp.data.cache.open import PixelCache
    from medexp.data.source import Files
    cache = PixelCache(folder, max_bytes=1e12, workers=2)
    return cache.open(Files(paths), origin="cells", input=InputSpec(side, side, 3), any_depth=False)
"""

MAKE_LARGE = """
from PIL import Image
for i, path in enumerate(PATHS[:400]):
    with Image.open(path) as image:
        image.resize((512, 512), Image.Resampling.BICUBIC).save(scratch / f"{i}.png", compress_level=1)
print(0)
"""
LARGE = """
PATHS, SIDE, CHUNK = sorted(Path(LARGE).glob("*.png")), 224, 8
"""
SMALL = """
SIDE, CHUNK = 64, 64
"""

BUILD_OURS = """
for path in PATHS: path.read_bytes()
import concurrent.futures.process, rich.progress, medexp.data.cache.open  # neither side's imports count
start = time.perf_counter()
cached(PATHS, SIDE)
print(len(PATHS) / (time.perf_counter() - start))
"""

BUILD_REFERENCE = """
from multiprocessing import get_context
from PIL import Image
for path in PATHS: path.read_bytes()

def one(path):
    with Image.open(path) as image:
        np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))

start = time.perf_counter()
with get_context("fork").Pool(2) as pool:
    for _ in pool.imap_unordered(one, PATHS, chunksize=CHUNK):
        pass
print(len(PATHS) / (time.perf_counter() - start))
"""

DELIVERED = """
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from medexp.data.batches import Batches
from medexp.data.cache.pixels import MappedPixels
N = 100_000
images = np.lib.format.open_memmap(scratch / "images.npy", mode="w+", dtype=np.uint8, shape=(N, 28, 28, 1))
images[:] = np.random.default_rng(0).integers(0, 256, (N, 28, 28, 1), dtype=np.uint8)
del images
pixels = MappedPixels(scratch / "images.npy", InputSpec(28, 28, 1), np.arange(N))
batches = Batches(pixels, np.arange(N), np.zeros((N, 1), np.float32), batch_size=128, shuffle_seed=0)
adapter = PyDatasetAdapter(batches)
def epoch():
    if KIND == "bare":
        return sum(len(batches[i][0]) for i in range(len(batches)))
    return sum(int(x.shape[0]) for x, _ in adapter.get_tf_dataset())
epoch()
start = time.perf_counter()
assert epoch() == N
print(N / (time.perf_counter() - start))
"""

STALL = """
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from medexp.data.batches import Batches
from medexp.models.simple_cnn import simple_cnn
from medexp.types import DataSpec
keras.utils.set_random_seed(0)
pixels = cached(PATHS, 64).pixels

class Timed(Batches):
    waited = 0.0
    def __getitem__(self, index):
        start = time.perf_counter()
        batch = super().__getitem__(index)
        Timed.waited += time.perf_counter() - start
        return batch

rows = np.arange(len(PATHS))
targets = np.eye(12, dtype=np.float32)[rows % 12]
batches = Timed(pixels, rows, targets, batch_size=32, shuffle_seed=0)
spec = DataSpec("cells", "multiclass", tuple("abcdefghijkl"), InputSpec(64, 64, 3), {}, "", "")
model = simple_cnn(spec)
model.compile(loss="categorical_crossentropy", optimizer="adamw", jit_compile=False)
model.fit(batches, epochs=1, steps_per_epoch=20, verbose=0, shuffle=False)
Timed.waited, start = 0.0, time.perf_counter()
model.fit(batches, epochs=1, verbose=0, shuffle=False)
print(Timed.waited / (time.perf_counter() - start))
"""

EPOCHS_OURS = """
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from medexp.data.batches import Batches
import medexp.data.cache.open
import tensorflow as tf; tf.zeros(1)
for path in PATHS: path.read_bytes()
start = time.perf_counter()
pixels = cached(PATHS, 80).pixels
rows = np.arange(len(PATHS))
adapter = PyDatasetAdapter(Batches(pixels, rows, np.zeros((len(rows), 12), np.float32), batch_size=128, shuffle_seed=0))
for _ in range(3):
    for _ in adapter.get_tf_dataset():
        pass
print(time.perf_counter() - start)
"""

EPOCHS_REFERENCE = """
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import tensorflow as tf; tf.zeros(1)
for path in PATHS: path.read_bytes()
start = time.perf_counter()
data = keras.utils.image_dataset_from_directory(
    cells / "images", image_size=(80, 80), batch_size=128, label_mode="categorical", verbose=False
)
for _ in range(3):
    for _ in data:
        pass
print(time.perf_counter() - start)
"""

MEMORY = """
from medexp.data.cache.pixels import MappedPixels
SIDE, N = 224, 2_000_000_000 // (224 * 224) + 1
images = np.lib.format.open_memmap(scratch / "images.npy", mode="w+", dtype=np.uint8, shape=(N, SIDE, SIDE, 1))
for start in range(0, N, 4096):
    images[start : start + 4096] = 1
images.flush()
images._mmap.madvise(__import__("mmap").MADV_DONTNEED)
del images
def resident():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith("Rss"))
    return sum(int(value.split()[0]) for value in fields.values()) / 1024
pixels = MappedPixels(scratch / "images.npy", InputSpec(SIDE, SIDE, 1), np.arange(N))
order = np.random.default_rng(0).permutation(N)
before = highest = resident()
for start in range(0, N, 128):
    pixels.take(order[start : start + 128])
    highest = max(highest, resident())
print(highest - before)
"""


def measure(repeats: int) -> None:
    """Print the table of docs/benchmarks.md: ours, the reference, the ratio, the claim."""
    cells = _cells()
    run = partial(_median, cells=cells, repeats=repeats)
    print(f"{'':58} {'ours':>10} {'reference':>10} {'ratio':>6}  claim")
    with tempfile.TemporaryDirectory() as large:
        _number(MAKE_LARGE, cells, scratch=large)
        for what, files in (("512 px PNG to 224", f"LARGE = {large!r}" + LARGE), ("80 px JPEG to 64", SMALL)):
            ours, bare = run(files + BUILD_OURS, files + BUILD_REFERENCE)
            _row(f"building the cache, images/s, {what} (bare loop)", ours, bare, ours / bare, 0.9, at_least=True)
    keras_rate, loop = run("KIND = 'keras'" + DELIVERED, "KIND = 'bare'" + DELIVERED)
    _row("delivered by Keras at 28 px, batch 128, images/s", keras_rate, 100_000, keras_rate / 1e5, 1.0, at_least=True)
    print(f"{'  of which a bare loop over the batches would deliver':58} {loop:10,.0f}")
    (stall,) = run(STALL)
    _row("input stall, share of a step (simple_cnn, 64 px)", stall, 0.02, stall / 0.02, 1.0, at_least=False)
    ours, bare = run(EPOCHS_OURS, EPOCHS_REFERENCE)
    _row("3 epochs of red_cells at 80 px, s (Keras' from directory)", ours, bare, bare / ours, 2.0, at_least=True)
    (grown,) = run(MEMORY, repeats=1)
    _row("resident growth over a cache of 2 GB, MiB", grown, 200, grown / 200, 1.0, at_least=False)


def _row(what: str, ours: float, reference: float, ratio: float, claim: float, *, at_least: bool) -> None:
    holds = ratio >= claim if at_least else ratio <= claim
    sign = ">=" if at_least else "<="
    text = f"{ours:10,.0f} {reference:10,.0f}" if reference >= 100 else f"{ours:10.3f} {reference:10.3f}"
    print(f"{what:58} {text} {ratio:6.2f}  {sign} {claim:g} {'holds' if holds else 'MISSED'}", flush=True)


def _median(*codes: str, cells: Path, repeats: int) -> list[float]:
    """The median of each, measured in turns so that a slow minute of the machine meets all of them."""
    found: list[list[float]] = [[] for _ in codes]
    for _ in range(repeats):
        for place, code in enumerate(codes):
            found[place].append(_number(code, cells))
    return [statistics.median(values) for values in found]


def _number(code: str, cells: Path, *, scratch: str | None = None) -> float:
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-c", _COMMON + code, scratch or empty, str(cells)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ))
        if done.returncode:
            raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def _cells() -> Path:
    folders = [os.environ.get("MEDEXP_DATA_DIR"), ROOT / "datasets", ROOT.parent / "shared" / "data"]
    for folder in folders:
        if folder and (Path(folder) / "red_cells" / "manifest.csv").is_file():
            return Path(folder).absolute() / "red_cells"
    raise SystemExit("There is no red_cells/manifest.csv in $MEDEXP_DATA_DIR or datasets/: see docs/benchmarks.md")
