from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.data.folder import FolderSource
from medexp.errors import DataError


def write(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)


def test_the_folder_is_the_class_and_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("sick/b.png", "healthy/z.png", "sick/a.png"):
        write(tmp_path / name)
    examples = FolderSource(root=str(tmp_path)).examples()
    assert examples.keys == ("healthy/z.png", "sick/a.png", "sick/b.png")
    assert examples.class_names == ("healthy", "sick")
    assert examples.labels.tolist() == [0, 1, 1]


def test_each_key_reads_its_own_image(tmp_path: Path) -> None:
    for value, name in enumerate(("b/1.png", "a/2.png", "a/1.png")):
        write(tmp_path / name, value)
    examples = FolderSource(root=str(tmp_path)).examples()
    assert [int(examples.read(i)[0, 0]) for i in range(3)] == [2, 1, 0]


def test_images_deep_below_a_class_folder_belong_to_it(tmp_path: Path) -> None:
    write(tmp_path / "a/patient1/left/1.png")
    write(tmp_path / "b/1.png")
    assert FolderSource(root=str(tmp_path)).examples().keys == ("a/patient1/left/1.png", "b/1.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "PNG"])
def test_every_format_is_found(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"a/1.{suffix}")
    write(tmp_path / "b/1.png")
    assert f"a/1.{suffix}" in FolderSource(root=str(tmp_path)).examples().keys


def test_other_files_and_images_beside_the_class_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "overview.png"):
        write(tmp_path / name)
    (tmp_path / "a/notes.txt").write_text("x")
    assert FolderSource(root=str(tmp_path)).examples().keys == ("a/1.png", "b/1.png")


def test_a_folder_without_images_is_no_class(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        write(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert FolderSource(root=str(tmp_path)).examples().class_names == ("a", "b")


def test_a_missing_folder_is_named_with_the_override_that_mends_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no such folder.*{tmp_path}/none\. Override: data\.root="):
        FolderSource(root=str(tmp_path / "none")).examples()


def test_one_class_is_too_few(tmp_path: Path) -> None:
    write(tmp_path / "a/1.png")
    with pytest.raises(DataError, match=r"two class folders.*\['a'\]"):
        FolderSource(root=str(tmp_path)).examples()


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.png")
    with pytest.raises(DataError, match="no images below a sub-folder"):
        FolderSource(root=str(tmp_path)).examples()


def test_a_damaged_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a/1.png")
    write(tmp_path / "b/1.png")
    (tmp_path / "b/1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty.*b/1\.png"):
        FolderSource(root=str(tmp_path)).examples().read(1)
