from __future__ import annotations

import hashlib
import http.server
import io
import pickle
import socket
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from medexp.data.medmnist import MedMnistSource
from medexp.errors import DataError

DEAD = "http://127.0.0.1:9/files"


COUNTS = (("train", 4), ("val", 2), ("test", 2))


def npz(value: int = 0, shape: tuple[int, ...] = (28, 28), **changes: np.ndarray) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    for split, count in COUNTS:
        arrays[f"{split}_images"] = np.full((count, *shape), value, np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.uint8)[:, np.newaxis] % 2
    file = io.BytesIO()
    np.savez_compressed(file, **{**arrays, **changes})
    return file.getvalue()


def put(folder: Path, content: bytes) -> None:
    (folder / "medmnist").mkdir(parents=True)
    (folder / "medmnist" / "breastmnist.npz").write_bytes(content)


def source(
    download_to: Path,
    *search: Path | None,
    url: str = DEAD,
    md5: str = "0" * 32,
    size: Literal[28, 64, 128, 224] = 28,
    names: Sequence[str] = ("malignant", "benign"),
) -> MedMnistSource:
    return MedMnistSource(
        dataset="breastmnist",
        size=size,
        names=names,
        search=[folder and str(folder) for folder in search],
        download_to=str(download_to),
        url=url,
        md5={"28": md5, "64": md5},
        timeout=2,
    )


@dataclass
class Site:
    """A real web server that answers each request with `content`."""

    content: bytes = b""
    promised: int | None = None
    status: int = 200
    requests: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(state.promised or len(state.content)))
            self.end_headers()
            self.wfile.write(state.content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/files/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def kept(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_local_copy_of_the_right_shapes_is_taken_whatever_its_checksum(tmp_path: Path) -> None:
    put(tmp_path / "here", npz(7))
    local = source(tmp_path / "down", tmp_path / "here")
    local.prepare()
    examples = local.examples()
    assert len(examples.keys) == 8
    assert (examples.images.load(0) == 7).all()


def test_the_official_split_and_labels_are_kept(tmp_path: Path) -> None:
    put(tmp_path, npz())
    examples = source(tmp_path).examples()
    assert examples.splits == ("train",) * 4 + ("val",) * 2 + ("test",) * 2
    assert examples.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert examples.class_names == ("malignant", "benign")
    assert examples.keys[0] == "train/000000"
    assert examples.keys[-1] == "test/000001"


def test_colour_images_are_read(tmp_path: Path) -> None:
    put(tmp_path, npz(shape=(28, 28, 3)))
    assert source(tmp_path).examples().images.load(0).shape == (28, 28, 3)


def test_folders_are_looked_through_in_order_and_missing_ones_skipped(tmp_path: Path) -> None:
    for value, name in ((1, "second"), (2, "third"), (3, "down")):
        put(tmp_path / name, npz(value))
    local = source(tmp_path / "down", None, tmp_path / "first", tmp_path / "second", tmp_path / "third")
    assert (local.examples().images.load(0) == 1).all()


def test_a_download_with_the_official_checksum_is_kept(site: Site, tmp_path: Path) -> None:
    site.content = npz(5)
    remote = source(tmp_path, url=site.url, md5=hashlib.md5(site.content).hexdigest())
    remote.prepare()
    assert (remote.examples().images.load(0) == 5).all()
    assert kept(tmp_path) == ["breastmnist.npz"]


def test_what_was_downloaded_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    site.content = npz()
    for _ in range(2):
        source(tmp_path, url=site.url, md5=hashlib.md5(site.content).hexdigest()).prepare()
    assert len(site.requests) == 1


def test_a_wrong_checksum_keeps_nothing(site: Site, tmp_path: Path) -> None:
    site.content = npz(5)
    with pytest.raises(DataError, match=f"MD5 {hashlib.md5(site.content).hexdigest()}.*expected {'0' * 32}"):
        source(tmp_path, url=site.url).prepare()
    assert kept(tmp_path) == []


def test_a_download_that_breaks_off_keeps_nothing(site: Site, tmp_path: Path) -> None:
    site.content, site.promised = npz(), 10_000_000
    with pytest.raises(DataError, match="could not be downloaded"):
        source(tmp_path, url=site.url, md5=hashlib.md5(site.content).hexdigest()).prepare()
    assert kept(tmp_path) == []


def test_a_server_that_refuses_is_quoted(site: Site, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(DataError, match=r"could not be downloaded \(Not Found\)"):
        source(tmp_path, url=site.url).prepare()


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        source(tmp_path).prepare()
    for needed in (DEAD, str(tmp_path / "medmnist" / "breastmnist.npz"), "MEDEXP_DATA_DIR", "data=phantom"):
        assert needed in str(caught.value)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DataError, match="timed out"):
        MedMnistSource(
            dataset="x",
            size=28,
            names=[],
            search=[],
            download_to=str(tmp_path),
            url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            md5={"28": ""},
            timeout=0.2,
        ).prepare()


def test_an_address_that_is_none_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        source(tmp_path, url="zenodo.org/files").prepare()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": np.zeros((2, 28, 28), np.float32)}, "val_images float32"),
        ({"val_images": np.zeros((2, 28), np.uint8)}, r"MedMNIST's shapes.*val_images uint8 \(2, 28\)"),
        ({"val_images": np.zeros((2, 28, 28, 4), np.uint8)}, "MedMNIST's shapes"),
        ({"val_images": np.zeros((2, 64, 64), np.uint8)}, r"val_images uint8 \(2, 64, 64\).*data\.size=28"),
        ({"val_labels": np.zeros((2, 3), np.uint8)}, r"val_labels uint8 \(2, 3\)"),
        ({"val_labels": np.zeros((2, 2), np.uint8)}, r"val_labels uint8 \(2, 2\)"),
        ({"val_labels": np.zeros((2, 1), np.float32)}, "val_labels float32"),
        ({"val_images": np.asfortranarray(np.zeros((2, 28, 28), np.uint8))}, "Fortran"),
        ({"val_labels": np.zeros((2,), np.uint8)}, r"val_labels uint8 \(2,\)"),
        ({"val_labels": np.zeros((3, 1), np.uint8)}, r"val_labels uint8 \(3, 1\)"),
        ({"val_labels": np.full((2, 1), 2, np.uint8)}, "A label has no class.*val_labels from 2 to 2"),
        ({"val_labels": np.full((2, 1), -1, np.int8)}, "A label has no class"),
    ],
)
def test_arrays_of_other_shapes_are_refused(changes: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    put(tmp_path, npz(**changes))
    with pytest.raises(DataError, match=message):
        source(tmp_path).examples()


def without_a_split() -> bytes:
    file = io.BytesIO()
    np.savez(file, train_images=np.zeros((1, 28, 28), np.uint8))
    return file.getvalue()


@pytest.mark.parametrize("content", [b"", b"<html>", npz()[:200], npz()[:-30], without_a_split()])
def test_a_file_that_is_no_medmnist_is_refused_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    put(tmp_path, content)
    with pytest.raises(DataError, match=rf"Not a MedMNIST file.*Delete it.*{DEAD}"):
        source(tmp_path).examples()


def a_plain_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def test_an_array_alone_is_a_data_error_too(tmp_path: Path) -> None:
    put(tmp_path, a_plain_array())
    with pytest.raises(DataError, match="Not a MedMNIST file"):
        source(tmp_path).examples()


def damaged(member: str) -> bytes:
    """A file whose array `member` has a changed byte in the middle of its compressed values."""
    rng = np.random.default_rng(0)
    many = rng.integers(0, 256, (200, 28, 28), np.uint8)
    content = bytearray(npz(val_images=many, val_labels=rng.integers(0, 2, (200, 1), np.uint8)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        info = archive.getinfo(f"{member}.npy")
    content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 255
    return bytes(content)


def test_damage_among_the_labels_is_found_at_once(tmp_path: Path) -> None:
    put(tmp_path, damaged("val_labels"))
    with pytest.raises(DataError, match="Not a MedMNIST file"):
        source(tmp_path).examples()


def test_damage_among_the_images_is_found_when_they_are_wanted(tmp_path: Path) -> None:
    put(tmp_path, damaged("val_images"))
    images = source(tmp_path).examples().images
    assert images.load(0).shape == (28, 28)
    with pytest.raises(DataError, match=r"damaged.*breastmnist\.npz, val_images"):
        images.load(4)


def test_images_come_from_their_place_in_any_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"{split}_images": rng.integers(0, 256, (count, 28, 28, 3), np.uint8) for split, count in COUNTS}
    put(tmp_path, npz(**arrays))
    examples = source(tmp_path).examples()
    assert len(examples.images) == 8
    for i in rng.permutation(8):
        split, place = examples.keys[i].split("/")
        assert (examples.images.load(i) == arrays[f"{split}_images"][int(place)]).all()
        assert examples.images.name(i).endswith(f"medmnist/breastmnist.npz:{split}_images[{int(place)}]")


def test_threads_unpack_once_and_copies_load_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, made = tempfile.TemporaryFile, []
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(1) or make())
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (400, 28, 28), np.uint8)
    put(tmp_path, npz(train_images=train, train_labels=np.zeros((400, 1), np.uint8)))
    images = source(tmp_path).examples().images
    with ThreadPoolExecutor(8) as pool:
        assert (np.stack(list(pool.map(images.load, range(400)))) == train).all()
    assert len(made) == 1
    copy = pickle.loads(pickle.dumps(images))
    assert (copy.load(399) == train[399]).all()


def test_the_stamp_is_of_the_file_and_the_place(tmp_path: Path) -> None:
    put(tmp_path, npz())
    images = source(tmp_path).examples().images
    before = [images.stamp(i) for i in range(8)]
    assert len(set(before)) == 8
    assert before == [source(tmp_path).examples().images.stamp(i) for i in range(8)]
    file = tmp_path / "medmnist" / "breastmnist.npz"
    file.write_bytes(npz(1))
    assert not {images.stamp(i) for i in range(8)} & set(before)
    file.unlink()
    assert images.stamp(0) is None


def test_labels_are_read_without_unpacking_an_image(tmp_path: Path) -> None:
    put(tmp_path, npz())
    examples = source(tmp_path).examples()
    (tmp_path / "medmnist" / "breastmnist.npz").unlink()
    assert (len(examples.labels), len(examples.images)) == (8, 8)
    with pytest.raises(DataError, match=r"cannot be read.*breastmnist\.npz"):
        examples.images.load(0)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_only_the_array_that_is_wanted_is_unpacked_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    put(tmp_path, npz())
    open_before = open_files()
    images = source(tmp_path).examples().images
    images.load(0)
    images.load(3)
    assert open_files() == open_before + 1
    assert list((tmp_path / "tmp").iterdir()) == []
    del images
    assert open_files() == open_before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_folder_for_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("wb", 0))  # noqa: SIM115
    put(tmp_path, npz())
    with pytest.raises(DataError, match=r"cannot be unpacked \(No space left.*set TMPDIR"):
        source(tmp_path).examples().images.load(0)


def test_several_labels_are_kept(tmp_path: Path) -> None:
    labels = {f"{split}_labels": np.arange(count * 3).reshape(count, 3).astype(np.uint8) % 2 for split, count in COUNTS}
    put(tmp_path, npz(**labels))
    examples = source(tmp_path, names=["edema", "effusion", "mass"]).examples()
    assert examples.labels.tolist() == np.concatenate([labels[f"{split}_labels"] for split, _ in COUNTS]).tolist()
    assert examples.class_names == ("edema", "effusion", "mass")


def test_several_labels_are_0_or_1(tmp_path: Path) -> None:
    put(tmp_path, npz(**{f"{split}_labels": np.full((count, 3), 2, np.uint8) for split, count in COUNTS}))
    with pytest.raises(DataError, match=r"A label has no class.*from 2 to 2"):
        source(tmp_path, names=["edema", "effusion", "mass"]).examples()


def test_larger_images_have_a_file_of_their_own(site: Site, tmp_path: Path) -> None:
    put(tmp_path, npz(1))
    site.content = npz(2, shape=(64, 64))
    large = source(tmp_path, url=site.url, md5=hashlib.md5(site.content).hexdigest(), size=64)
    large.prepare()
    assert site.requests == ["/files/breastmnist_64.npz"]
    assert large.examples().images.load(0).shape == (64, 64)
    assert source(tmp_path).examples().images.load(0).shape == (28, 28)


def test_a_size_without_a_checksum_is_not_downloaded(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No checksum.*data\.size=128.*breastmnist_128\.npz"):
        source(tmp_path, url=site.url, size=128).prepare()
    assert site.requests == []


@pytest.mark.parametrize(
    ("name", "counts", "positives"),
    [("pneumoniamnist", [4708, 524, 624], [3494, 389, 390]), ("breastmnist", [546, 78, 156], [399, 57, 114])],
)
def test_a_published_file_is_read_as_its_configuration_says(
    name: str, counts: list[int], positives: list[int], medmnist: Path
) -> None:
    if not (medmnist / f"{name}.npz").is_file():
        pytest.skip(f"no real images: {name}.npz")
    local = MedMnistSource(
        dataset=name, size=28, names=["zero", "one"], search=[str(medmnist.parent)], download_to="/nowhere", url=DEAD,
        md5={},
    )  # fmt: skip
    local.prepare()
    examples = local.examples()
    splits = np.array(examples.splits)
    assert [int((splits == split).sum()) for split, _ in COUNTS] == counts
    assert [int(examples.labels[splits == split].sum()) for split, _ in COUNTS] == positives
    with np.load(medmnist / f"{name}.npz") as arrays:
        assert (examples.images.load(len(examples.keys) - 1) == arrays["test_images"][-1]).all()
        assert (examples.images.load(counts[0]) == arrays["val_images"][0]).all()
    assert examples.ordered
