from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from support import ROOT, wait_until

from medexp.data.cache import open as open_module
from medexp.data.cache import reading
from medexp.data.cache.open import PixelCache, Prepared
from medexp.data.source import Files
from medexp.errors import DataError
from medexp.imaging.read import read
from medexp.types import InputSpec

INPUT = InputSpec(height=8, width=8, channels=1)


class Counted(Files):
    """Remembers which files were read."""

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(paths)
        self.paths = paths
        self.read: list[str] = []

    def load(self, i: int) -> bytes:
        self.read.append(self.paths[i].name)
        return super().load(i)


def write(folder: Path, count: int, *, size: int = 16, bits: int = 8) -> list[Path]:
    """Different images, `<number>.png`."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.uint8 if bits == 8 else np.uint16
    for i in range(count):
        Image.fromarray(rng.integers(0, 2**bits, (size, size)).astype(kind)).save(folder / f"{i:03d}.png")
    return sorted(folder.glob("*.png"))


def cache(tmp_path: Path, *, max_bytes: float = 1e9, workers: int = 1) -> PixelCache:
    return PixelCache(tmp_path / "cache", max_bytes=max_bytes, workers=workers)


def opened(tmp_path: Path, images: Files, input: InputSpec = INPUT, **options: float) -> Prepared:
    return cache(tmp_path, **options).open(images, origin="here", input=input, any_depth=False)


def everything(prepared: Prepared) -> np.ndarray:
    return prepared.pixels.take(np.arange(len(prepared.pixels)))


def folders(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "pixels").iterdir())


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write(tmp_path / "images", 6)


def test_images_are_those_that_the_service_would_see(tmp_path: Path, paths: list[Path]) -> None:
    prepared = opened(tmp_path, Files(paths))
    for i, path in enumerate(paths):
        assert (prepared.pixels.take(np.array([i]))[0] == read(path.read_bytes(), INPUT).pixels).all()


def test_a_second_opening_reads_no_image(tmp_path: Path, paths: list[Path]) -> None:
    first = everything(opened(tmp_path, Files(paths)))
    again = Counted(paths)
    assert (everything(opened(tmp_path, again)) == first).all()
    assert again.read == []


def test_facts_are_the_same_when_they_come_from_the_cache(tmp_path: Path, paths: list[Path]) -> None:
    built, found = opened(tmp_path, Files(paths)).facts, opened(tmp_path, Files(paths)).facts
    for name in ("content", "pixels", "format", "mode", "width", "height", "bits", "bytes", "error"):
        assert getattr(built, name).tolist() == getattr(found, name).tolist()
    assert found.format.tolist() == ["PNG"] * 6
    assert found.width.tolist() == [16] * 6
    assert found.bytes.tolist() == [path.stat().st_size for path in paths]


def test_another_order_is_the_same_cache(tmp_path: Path, paths: list[Path]) -> None:
    first = everything(opened(tmp_path, Files(paths)))
    turned = Counted(paths[::-1])
    assert (everything(opened(tmp_path, turned)) == first[::-1]).all()
    assert turned.read == []


def test_another_preprocessing_is_another_cache(tmp_path: Path, paths: list[Path]) -> None:
    opened(tmp_path, Files(paths))
    opened(tmp_path, Files(paths), InputSpec(4, 4, 1))
    opened(tmp_path, Files(paths), InputSpec(8, 8, 1, fit="crop"))
    assert len(folders(tmp_path)) == 3
    assert len({name.partition("-")[0] for name in folders(tmp_path)}) == 1, "the data digest is the same"


def test_only_a_changed_file_is_decoded_again(tmp_path: Path, paths: list[Path]) -> None:
    before = everything(opened(tmp_path, Files(paths)))
    Image.new("L", (16, 16), 77).save(paths[2])
    images = Counted(paths)
    after = everything(opened(tmp_path, images))
    assert images.read == ["002.png"]
    assert (after[2] == 77).all()
    assert (np.delete(after, 2, 0) == np.delete(before, 2, 0)).all()


def test_a_change_is_seen_when_size_and_time_are_as_before(tmp_path: Path, paths: list[Path]) -> None:
    Image.new("L", (16, 16), 10).save(paths[2])
    opened(tmp_path, Files(paths))
    times = paths[2].stat()
    Image.new("L", (16, 16), 11).save(tmp_path / "other.png")
    assert (tmp_path / "other.png").stat().st_size == times.st_size
    paths[2].write_bytes((tmp_path / "other.png").read_bytes())
    os.utime(paths[2], ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (everything(opened(tmp_path, Files(paths)))[2] == 11).all()


def test_only_an_added_file_is_decoded(tmp_path: Path, paths: list[Path]) -> None:
    before = everything(opened(tmp_path, Files(paths)))
    Image.new("L", (16, 16), 5).save(tmp_path / "images" / "006.png")
    images = Counted([*paths, tmp_path / "images" / "006.png"])
    after = everything(opened(tmp_path, images))
    assert images.read == ["006.png"]
    assert (after[:6] == before).all()


def test_without_a_file_nothing_is_decoded(tmp_path: Path, paths: list[Path]) -> None:
    before = everything(opened(tmp_path, Files(paths)))
    images = Counted(paths[1:])
    assert (everything(opened(tmp_path, images)) == before[1:]).all()
    assert images.read == []


def test_a_cache_that_a_change_made_useless_is_removed_and_who_has_it_open_keeps_it(
    tmp_path: Path, paths: list[Path]
) -> None:
    old = opened(tmp_path, Files(paths))
    pixels = everything(old)
    (name,) = folders(tmp_path)
    Image.new("L", (16, 16), 77).save(paths[2])
    opened(tmp_path, Files(paths))
    assert len(folders(tmp_path)) == 1
    assert name not in folders(tmp_path)
    assert (everything(old) == pixels).all()


@pytest.mark.parametrize("file", ["images.npy", "facts.npz"])
@pytest.mark.parametrize("damage", [b"", b"damage", None])
def test_a_damaged_cache_is_built_anew(tmp_path: Path, paths: list[Path], file: str, damage: bytes | None) -> None:
    before = everything(opened(tmp_path, Files(paths)))
    (target,) = (tmp_path / "cache" / "pixels").glob(f"*/{file}")
    target.unlink() if damage is None else target.write_bytes(damage)
    assert (everything(opened(tmp_path, Files(paths))) == before).all()


def test_an_unreadable_image_is_black_and_its_fact_says_why(tmp_path: Path, paths: list[Path]) -> None:
    paths[1].write_bytes(b"damage")
    paths[3].write_bytes(b"")
    paths[4].unlink()
    prepared = opened(tmp_path, Files(paths))
    wrong = [i for i, error in enumerate(prepared.facts.error) if error]
    assert wrong == [1, 3, 4]
    for i in wrong:
        assert paths[i].name in prepared.facts.error[i]
        assert not everything(prepared)[i].any()
    assert len(set(prepared.facts.content.tolist())) == 6, "two unreadable files are no duplicates"


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_pixels_keep_the_depth_that_the_images_have(tmp_path: Path, bits: int, kind: type) -> None:
    images = Files(write(tmp_path / "images", 3, size=8, bits=bits))
    for _ in range(2):
        prepared = cache(tmp_path).open(images, origin="here", input=INPUT, any_depth=True)
        assert prepared.pixels.input.bits == bits
        pixels = everything(prepared)
        assert pixels.dtype == kind
        with Image.open(tmp_path / "images" / "001.png") as image:
            assert (pixels[1, :, :, 0] == np.asarray(image)).all()


def test_one_deep_image_makes_all_deep(tmp_path: Path) -> None:
    shallow = write(tmp_path / "a", 3, size=8)
    deep = write(tmp_path / "b", 1, size=8, bits=16)
    pixels = cache(tmp_path).open(Files([*shallow, *deep]), origin="here", input=INPUT, any_depth=True).pixels
    with Image.open(shallow[0]) as image:
        assert (pixels.take(np.array([0]))[0, :, :, 0] == np.asarray(image).astype(np.uint16) * 257).all()


class Moody(Files):
    """Cannot read image 1 as long as its `trouble` lasts, as a network drive, or a decoder that is not installed."""

    trouble = True

    def load(self, i: int) -> bytes:
        if i == 1 and self.trouble:
            raise DataError(f"No answer. Received: {self.name(i)}.")
        return super().load(i)


@pytest.mark.parametrize("max_bytes", [1e9, 0])
def test_what_could_not_be_read_once_is_tried_again(tmp_path: Path, paths: list[Path], max_bytes: float) -> None:
    whole = everything(opened(tmp_path / "other", Files(paths)))
    images = Moody(paths)
    for _ in range(2):
        prepared = opened(tmp_path, images, max_bytes=max_bytes)
        assert prepared.facts.error.tolist() == ["", f"No answer. Received: {paths[1]}.", "", "", "", ""]
        assert (np.delete(everything(prepared), 1, 0) == np.delete(whole, 1, 0)).all()
        assert not everything(prepared)[1].any()
    images.trouble = False
    prepared = opened(tmp_path, images, max_bytes=max_bytes)
    assert set(prepared.facts.error.tolist()) == {""}
    assert (everything(prepared) == whole).all()


def test_two_origins_with_the_same_images_in_another_order_do_not_mix_them_up(
    tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = everything(opened(tmp_path / "other", Files(paths)))
    real = open_module.finish

    def late(*arguments: object) -> object:
        """Another process finishes first."""
        monkeypatch.setattr(open_module, "finish", real)
        cache(tmp_path).open(Files(paths[::-1]), origin="there", input=INPUT, any_depth=False)
        return real(*arguments)

    monkeypatch.setattr(open_module, "finish", late)
    assert (everything(opened(tmp_path, Files(paths))) == whole).all()


def test_an_origin_does_not_remove_what_another_uses(tmp_path: Path, paths: list[Path]) -> None:
    copies = write(tmp_path / "copies", 6)
    cache(tmp_path).open(Files(copies), origin="there", input=INPUT, any_depth=False)
    opened(tmp_path, Files(paths))
    Image.new("L", (16, 16), 77).save(paths[2])
    opened(tmp_path, Files(paths))
    again = Counted(copies)
    cache(tmp_path).open(again, origin="there", input=INPUT, any_depth=False)
    assert again.read == []


def test_where_eight_bits_fit_and_sixteen_do_not_nothing_of_eight_is_kept(tmp_path: Path) -> None:
    paths = [*write(tmp_path / "a", 3, size=8), *write(tmp_path / "b", 1, size=8, bits=16)]

    def pixels(max_bytes: float) -> np.ndarray:
        options = {"origin": "here", "input": INPUT, "any_depth": True}
        return everything(cache(tmp_path, max_bytes=max_bytes).open(Files(paths), **options))

    streamed = pixels(4 * 64 * 1.5)
    assert streamed.dtype == np.uint16
    assert not list(tmp_path.rglob("images.npy"))
    assert (pixels(1e9) == streamed).all()


def test_what_a_killed_build_of_something_else_left_is_cleared_away_and_what_is_at_work_is_not(
    tmp_path: Path, paths: list[Path]
) -> None:
    folder = tmp_path / "cache" / "pixels"
    for name in ("dead", "alive"):
        (folder / f".building-{name}").mkdir(parents=True)
    (tmp_path / "cache" / "locks").mkdir()
    with FileLock(tmp_path / "cache" / "locks" / "alive.lock"):
        opened(tmp_path, Files(paths))
    assert [name for name in folders(tmp_path) if name.startswith(".")] == [".building-alive"]


def test_a_set_that_is_too_large_is_streamed_with_the_same_pixels_and_facts(tmp_path: Path, paths: list[Path]) -> None:
    kept = opened(tmp_path / "kept", Files(paths))
    images = Counted(paths)
    streamed = opened(tmp_path / "streamed", images, max_bytes=5 * 64)
    assert not list((tmp_path / "streamed").rglob("images.npy"))
    rows = np.array([3, 0, 3, 5])
    assert (streamed.pixels.take(rows) == kept.pixels.take(rows)).all()
    assert streamed.facts.pixels.tolist() == kept.facts.pixels.tolist()
    again = Counted(paths)
    opened(tmp_path / "streamed", again, max_bytes=5 * 64)
    assert again.read == [], "facts are kept"


def test_a_set_that_has_become_small_enough_is_kept(tmp_path: Path, paths: list[Path]) -> None:
    streamed = everything(opened(tmp_path, Files(paths), max_bytes=0))
    assert (everything(opened(tmp_path, Files(paths))) == streamed).all()
    assert list((tmp_path / "cache").rglob("images.npy"))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    paths = write(tmp_path / "images", 200, size=8)
    paths[150].write_bytes(b"damage")
    alone = opened(tmp_path / "alone", Files(paths))
    monkeypatch.setattr(reading, "_START_SECONDS", {"fork": 0, "spawn": 0})
    monkeypatch.setattr(reading, "_may_fork", lambda: method == "fork")
    pids = tmp_path / "pids"
    pids.mkdir()
    many = opened(tmp_path / "many", Traced(paths, pids), workers=2)
    assert len(list(pids.iterdir())) >= 2
    assert (everything(many) == everything(alone)).all()
    assert many.facts.content.tolist() == alone.facts.content.tolist()
    assert "150.png" in many.facts.error[150]


class Traced(Files):
    """Leaves a file named by each process that reads."""

    def __init__(self, paths: list[Path], pids: Path) -> None:
        super().__init__(paths)
        self._pids = pids

    def load(self, i: int) -> bytes:
        (self._pids / str(os.getpid())).touch()
        return super().load(i)


class Deadly(Files):
    """Ends every process that reads but the first one, as the system does when memory is short."""

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(paths)
        self._parent = os.getpid()

    def load(self, i: int) -> bytes:
        if os.getpid() != self._parent:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.005)
        return super().load(i)


def test_a_killed_decoder_is_an_error_with_a_remedy_not_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write(tmp_path / "images", 200, size=8)
    monkeypatch.setattr(reading, "_START_SECONDS", {"fork": 0, "spawn": 0})
    monkeypatch.setattr(reading, "_may_fork", lambda: True)
    with pytest.raises(DataError, match=r"data\.cache\.workers=1"):
        opened(tmp_path, Deadly(paths), workers=2)


BUILD = """
import sys, time
from pathlib import Path
from medexp.data.cache.open import PixelCache
from medexp.data.source import Files
from medexp.types import InputSpec

class Slow(Files):
    def load(self, i):
        with open(sys.argv[2], "a") as file:
            file.write(f"{i}\\n")
        time.sleep(float(sys.argv[3]))
        return super().load(i)

root = Path(sys.argv[1])
paths = sorted((root / "images").glob("*.png"))
PixelCache(root / "cache", max_bytes=1e9, workers=1).open(
    Slow(paths), origin="here", input=InputSpec(8, 8, 1), any_depth=False
)
print("built")
"""


def start(root: Path, journal: Path, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(root), str(journal), str(pause)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_what_a_killed_build_leaves_is_not_trusted_and_is_cleared_away(tmp_path: Path, paths: list[Path]) -> None:
    journal = tmp_path / "journal"
    process = start(tmp_path, journal, 0.3)
    wait_until(lambda: journal.exists() and len(journal.read_text().split()) >= 3, seconds=30, what="a build to begin")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert folders(tmp_path)[0].startswith(".building-")
    images = Counted(paths)
    prepared = opened(tmp_path, images)
    assert len(images.read) == 6
    for i, path in enumerate(paths):
        assert (prepared.pixels.take(np.array([i]))[0] == read(path.read_bytes(), INPUT).pixels).all()
    assert not any(name.startswith(".") for name in folders(tmp_path))


def test_several_processes_build_it_once(tmp_path: Path, paths: list[Path]) -> None:
    journal = tmp_path / "journal"
    processes = [start(tmp_path, journal, 0.1) for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert out.strip() == "built", err
    assert sorted(journal.read_text().split()) == [str(i) for i in range(len(paths))]


FULL = """
import resource, sys, signal
from pathlib import Path
import numpy as np
from medexp.data.cache.open import PixelCache
from medexp.data.source import Files
from medexp.types import InputSpec
import logging
logging.basicConfig(level=logging.WARNING)
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
paths = sorted(Path(sys.argv[1]).glob("*.png"))
prepared = PixelCache(Path(sys.argv[2]), max_bytes=1e9, workers=1).open(
    Files(paths), origin="here", input=InputSpec(64, 64, 1), any_depth=False
)
print(prepared.pixels.take(np.arange(len(paths))).shape)
"""


def test_a_full_disk_streams_and_says_so(tmp_path: Path, paths: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "images"), str(tmp_path / "cache")],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "(6, 64, 64, 1)", done.stderr
    assert "data.cache.folder=" in done.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, paths: list[Path]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"data\.cache\.folder="):
        opened(tmp_path, Files(paths))


GROWTH = textwrap.dedent("""
    import sys
    from pathlib import Path
    import numpy as np
    from medexp.data.cache.pixels import MappedPixels
    from medexp.types import InputSpec

    def resident():
        return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssFile")) // 1024

    path, count, side = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    pixels = MappedPixels(path, InputSpec(side, side, 1), np.arange(count))
    before, highest = resident(), 0
    order = np.random.default_rng(0).permutation(count)
    for start in range(0, count, 128):
        pixels.take(order[start : start + 128])
        highest = max(highest, resident())
    print(highest - before)
""")


def test_memory_does_not_grow_to_the_size_of_the_file(tmp_path: Path) -> None:
    path, count, side = tmp_path / "images.npy", 6400, 224
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, side, side, 1))
    images[:] = 1
    del images
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(path), str(count), str(side)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert path.stat().st_size > 300e6
    assert int(done.stdout) < 200


def test_the_log_says_what_is_done(tmp_path: Path, paths: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        opened(tmp_path, Files(paths))
    assert "6 to decode" in caplog.text
