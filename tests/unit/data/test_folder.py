from __future__ import annotations

import os
from pathlib import Path

import pytest

from medexp.data.folder import FolderSource
from medexp.data.source import Examples
from medexp.errors import DataError


def write(folder: Path, *names: str) -> None:
    """Write files that hold their own names; a folder source decodes nothing."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def read(folder: Path, *names: str, group_regex: str | None = None) -> Examples:
    write(folder, *names)
    return FolderSource(root=str(folder), group_regex=group_regex).examples()


def test_the_folder_is_the_class_and_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    examples = read(tmp_path, "sick/b.png", "healthy/z.png", "sick/a.png")
    assert examples.keys == ("healthy/z.png", "sick/a.png", "sick/b.png")
    assert examples.class_names == ("healthy", "sick")
    assert examples.labels.tolist() == [0, 1, 1]
    assert (examples.groups, examples.splits, examples.ordered) == (None, None, False)


def test_each_key_loads_its_own_image(tmp_path: Path) -> None:
    examples = read(tmp_path, "b/1.png", "a/2.png", "a/1.png")
    assert [examples.images.load(i).decode() for i in range(3)] == list(examples.keys)
    assert examples.images.name(2) == str(tmp_path / "b/1.png")


def test_images_deep_below_a_class_folder_belong_to_it(tmp_path: Path) -> None:
    assert read(tmp_path, "a/patient1/left/1.png", "b/1.png").keys == ("a/patient1/left/1.png", "b/1.png")


def test_classes_that_are_numbers_go_by_value(tmp_path: Path) -> None:
    examples = read(tmp_path, "10/a.png", "9/a.png", "0/a.png")
    assert examples.class_names == ("0", "9", "10")
    assert [examples.class_names[label] for label in examples.labels] == [key.split("/")[0] for key in examples.keys]


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "dcm", "PNG", "DCM"])
def test_every_format_is_found(suffix: str, tmp_path: Path) -> None:
    assert f"a/1.{suffix}" in read(tmp_path, f"a/1.{suffix}", "b/1.png").keys


@pytest.mark.parametrize(
    "name",
    ["overview.png", "a/notes.txt", "a/Thumbs.db", "a/.hidden.png", "a/._1.png", ".cache/x.png", "__MACOSX/a/1.png",
     "a/__MACOSX/1.png", "a/.thumbnails/1.png", "a/png"],
)  # fmt: skip
def test_what_is_no_image_of_a_class_is_left_out(name: str, tmp_path: Path) -> None:
    assert read(tmp_path, "a/1.png", "b/1.png", name).keys == ("a/1.png", "b/1.png")


def test_a_folder_without_images_is_no_class(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert read(tmp_path, "a/1.png", "b/1.png").class_names == ("a", "b")


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "store", "x/1.png", "2.png")
    write(tmp_path / "set", "b/1.png")
    (tmp_path / "set/a").symlink_to(tmp_path / "store/x")
    (tmp_path / "set/b/2.png").symlink_to(tmp_path / "store/2.png")
    examples = FolderSource(root=str(tmp_path / "set")).examples()
    assert examples.keys == ("a/1.png", "b/1.png", "b/2.png")
    assert examples.images.load(2) == b"2.png"


def test_a_link_in_a_circle_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert FolderSource(root=str(tmp_path)).examples().keys == ("a/1.png", "b/1.png")


def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a/2.png").symlink_to(tmp_path / "gone.png")
    examples = FolderSource(root=str(tmp_path)).examples()
    assert examples.keys == ("a/1.png", "a/2.png", "b/1.png")
    with pytest.raises(DataError, match=r"cannot be read.*a/2\.png"):
        examples.images.load(1)


def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "b/1.png")
    Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"/\xff.png")).write_bytes(b"x")
    with pytest.raises(DataError, match=r"not UTF-8.*\\xff\.png"):
        FolderSource(root=str(tmp_path)).examples()


@pytest.mark.parametrize(
    ("training", "validation", "testing"),
    [("train", "val", "test"), ("Training", "VALID", "Testing"), ("TRAIN", "dev", "Test")],
)
def test_folders_called_as_splits_are_the_split(training: str, validation: str, testing: str, tmp_path: Path) -> None:
    names = [f"{training}/a/1.png", f"{training}/b/deep/1.png", f"{validation}/b/1.png", f"{testing}/a/1.png"]
    examples = read(tmp_path, *names)
    split = {training: "train", validation: "val", testing: "test"}
    assert sorted(examples.keys) == sorted(names)
    assert examples.splits == tuple(split[key.split("/")[0]] for key in examples.keys)
    assert [examples.class_names[label] for label in examples.labels] == [key.split("/")[1] for key in examples.keys]


@pytest.mark.parametrize("other", ["val", "Testing"])
def test_one_split_beside_that_for_training_is_enough(other: str, tmp_path: Path) -> None:
    examples = read(tmp_path, "train/a/1.png", "train/b/1.png", f"{other}/a/1.png")
    assert set(examples.splits or ()) == {"train", "val" if other == "val" else "test"}


def test_two_spellings_of_a_split_are_one(tmp_path: Path) -> None:
    examples = read(tmp_path, "train/a/1.png", "training/b/1.png", "test/a/1.png")
    assert examples.splits == ("test", "train", "train")


def test_classes_called_as_some_splits_but_without_training_are_classes(tmp_path: Path) -> None:
    examples = read(tmp_path, "test/1.png", "val/1.png")
    assert (examples.class_names, examples.splits) == (("test", "val"), None)


def test_a_split_folder_without_images_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "labels/all.csv")
    assert FolderSource(root=str(tmp_path)).examples().splits == ("test", "train", "train")


def test_a_folder_beside_the_splits_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train/a/1.png", "test/b/1.png", "unlabelled/a/1.png")
    with pytest.raises(DataError, match=r"some are not.*Move unlabelled elsewhere"):
        FolderSource(root=str(tmp_path)).examples()


def test_an_image_of_a_split_that_is_in_no_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png")
    with pytest.raises(DataError, match=r"folder per class. Received: test/1\.png.*<split>/<class>/"):
        FolderSource(root=str(tmp_path)).examples()


def test_a_lone_training_folder_is_one_class_and_the_error_says_what_to_name(tmp_path: Path) -> None:
    write(tmp_path, "train/a/1.png", "train/b/1.png")
    with pytest.raises(DataError, match=r"two class folders.*\['train'\].*data\.root="):
        FolderSource(root=str(tmp_path)).examples()


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("^(p[0-9]+)_", ("p1", "p2", "p1")),
        ("p[0-9]+", ("p1", "p2", "p1")),
        ("_(left|right)", ("left", "left", "right")),
    ],
)
def test_the_group_is_what_the_pattern_finds_in_the_file_name(
    pattern: str, groups: tuple[str, ...], tmp_path: Path
) -> None:
    names = ("a/p9/p1_left.png", "a/p9/p2_left.png", "b/p9/p1_right.png")
    assert read(tmp_path, *names, group_regex=pattern).groups == groups


def test_a_name_without_a_group_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a/p1_1.png", "b/p2/scan.png")
    for pattern in ("^(p[0-9]+)_", "^(p[0-9]+)?"):
        with pytest.raises(DataError, match=r"does not say its group.*b/p2/scan\.png.*data\.group_regex="):
            FolderSource(root=str(tmp_path), group_regex=pattern).examples()


def test_a_pattern_that_is_none_is_refused_before_anything_is_read() -> None:
    with pytest.raises(DataError, match=r"data\.group_regex: not a regular expression.*'\(p'.*Override"):
        FolderSource(root="/nowhere", group_regex="(p")


def test_a_missing_folder_is_named_with_the_override_that_mends_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no such folder.*{tmp_path}/none\. Override: data\.root="):
        FolderSource(root=str(tmp_path / "none")).examples()


def test_one_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"two class folders.*\['a'\]"):
        read(tmp_path, "a/1.png")


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images below a sub-folder"):
        read(tmp_path, "1.png")


def test_the_red_cells_are_found_with_the_picture_they_were_cut_from(red_cells: Path) -> None:
    examples = FolderSource(root=str(red_cells / "images"), group_regex=r"^(\d+)_").examples()
    assert len(examples.keys) == 7887
    assert len(examples.class_names) == 12
    listed = (red_cells / "manifest.csv").read_text().split("\n")[1:]
    rows = {line.split(",")[0].removeprefix("images/"): line.split(",") for line in listed if line}
    smears: dict[str, set[str]] = {}
    for key, group, label in zip(examples.keys, examples.groups or (), examples.labels, strict=True):
        assert rows[key][1] == examples.class_names[label]
        smears.setdefault(group, set()).add(rows[key][2])
    assert {len(smear) for smear in smears.values()} == {1}
