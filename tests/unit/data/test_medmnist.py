from __future__ import annotations

import hashlib
import http.server
import io
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from medexp.data.medmnist import MedMnistSource
from medexp.errors import DataError

DEAD = "http://127.0.0.1:9/breastmnist.npz"


def npz(value: int = 0, shape: tuple[int, ...] = (28, 28), **changes: np.ndarray) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        arrays[f"{split}_images"] = np.full((count, *shape), value, np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.uint8)[:, np.newaxis] % 2
    file = io.BytesIO()
    np.savez_compressed(file, **{**arrays, **changes})
    return file.getvalue()


def put(folder: Path, content: bytes) -> None:
    (folder / "medmnist").mkdir(parents=True)
    (folder / "medmnist" / "breastmnist.npz").write_bytes(content)


def source(download_to: Path, *search: Path | None, url: str = DEAD, md5: str = "0" * 32) -> MedMnistSource:
    return MedMnistSource(
        file="breastmnist.npz",
        classes=["malignant", "benign"],
        search=[folder and str(folder) for folder in search],
        download_to=str(download_to),
        url=url,
        md5=md5,
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
        state.url = f"http://127.0.0.1:{server.server_port}/breastmnist.npz"
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
    assert (examples.read(0) == 7).all()


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
    assert source(tmp_path).examples().read(0).shape == (28, 28, 3)


def test_folders_are_looked_through_in_order_and_missing_ones_skipped(tmp_path: Path) -> None:
    for value, name in ((1, "second"), (2, "third"), (3, "down")):
        put(tmp_path / name, npz(value))
    local = source(tmp_path / "down", None, tmp_path / "first", tmp_path / "second", tmp_path / "third")
    assert (local.examples().read(0) == 1).all()


def test_a_download_with_the_official_checksum_is_kept(site: Site, tmp_path: Path) -> None:
    site.content = npz(5)
    remote = source(tmp_path, url=site.url, md5=hashlib.md5(site.content).hexdigest())
    remote.prepare()
    assert (remote.examples().read(0) == 5).all()
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
            file="x.npz",
            classes=[],
            search=[],
            download_to=str(tmp_path),
            url=f"http://127.0.0.1:{silent.getsockname()[1]}/x.npz",
            md5="",
            timeout=0.2,
        ).prepare()


def test_an_address_that_is_none_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        source(tmp_path, url="zenodo.org/breastmnist.npz").prepare()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": np.zeros((2, 28, 28), np.float32)}, "val_images float32"),
        ({"val_images": np.zeros((2, 28), np.uint8)}, r"MedMNIST's shapes.*val_images uint8 \(2, 28\)"),
        ({"val_images": np.zeros((2, 28, 28, 4), np.uint8)}, "MedMNIST's shapes"),
        ({"val_labels": np.zeros((2,), np.uint8)}, r"val_labels \(2,\)"),
        ({"val_labels": np.zeros((3, 1), np.uint8)}, r"val_labels \(3, 1\)"),
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


def damaged_inside() -> bytes:
    content = bytearray(npz())
    content[60:70] = bytes(10)
    return bytes(content)


@pytest.mark.parametrize("content", [a_plain_array(), damaged_inside()], ids=["npy", "damaged inside"])
def test_other_damage_is_a_data_error_too(content: bytes, tmp_path: Path) -> None:
    put(tmp_path, content)
    with pytest.raises(DataError, match="Not a MedMNIST file"):
        source(tmp_path).examples()
