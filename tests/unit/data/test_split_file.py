from __future__ import annotations

import csv
import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medexp.data.split_file import read_split, write_split
from medexp.errors import DataError
from medexp.types import SPLITS

KEYS = ("a/1.png", "a/2.png", "b/1.png", "b/2.png")
OWN = np.array(["train", "val", "test", "train"])


def contents(n: int) -> np.ndarray:
    """The SHA-256 of n different images."""
    return np.array([hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)])


def written(
    path: Path, *, keys: Sequence[str] = KEYS, splits: np.ndarray = OWN, content: np.ndarray | None = None
) -> Path:
    """The split of four images as a file."""
    write_split(
        path,
        keys=keys,
        splits=splits,
        content=contents(len(keys)) if content is None else content,
        groups=None,
        labels_text=["healthy"] * len(keys),
        metadata={},
    )
    return path


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_says_who_is_where_and_what_is_known_of_them(tmp_path: Path) -> None:
    path = tmp_path / "run" / "split.csv"
    write_split(
        path,
        keys=KEYS,
        splits=OWN,
        content=contents(4),
        groups=("p1", "p1", "p2", "p3"),
        labels_text=["mass", "mass, nodule", "", "mass"],
        metadata={"site": ("Ulm", "", "Köln", "Ulm"), "split": ("x", "y", "z", "")},
    )
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "split", "group", "label", "content", "site", "metadata.split"]
    assert list(rows[1].values()) == ["a/2.png", "val", "p1", "mass, nodule", contents(4)[1][:16], "", "y"]
    assert [row["site"] for row in rows] == ["Ulm", "", "Köln", "Ulm"]
    assert [entry.name for entry in path.parent.iterdir()] == ["split.csv"]


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = written(tmp_path / "split.csv")
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_split(
            path, keys=KEYS, splits=OWN[:3], content=contents(4), groups=None, labels_text=["x"] * 4, metadata={}
        )
    assert (read_split(path, keys=KEYS, content=contents(4)) == OWN).all()
    assert [entry.name for entry in tmp_path.iterdir()] == ["split.csv"]


NAMES = st.one_of(
    st.text(st.sampled_from(",;\"'\n\r\t \\=é中\ufeff\u2028"), min_size=1),
    st.text(min_size=1).filter(lambda name: "\0" not in name),
    st.binary(min_size=1).map(lambda name: name.decode("utf-8", "surrogateescape")),  # as os.fsdecode does
)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_whatever_the_names(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    keys = data.draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    splits = np.array(data.draw(st.lists(st.sampled_from(SPLITS), min_size=len(keys), max_size=len(keys))))
    content = contents(3)[np.arange(len(keys)) % 3] if data.draw(st.booleans()) else np.full(len(keys), "")
    more = data.draw(st.lists(NAMES, min_size=len(keys), max_size=len(keys)))
    path = tmp_path_factory.getbasetemp() / "names.csv"
    write_split(
        path, keys=keys, splits=splits, content=content, groups=more, labels_text=more, metadata={more[0]: more}
    )
    assert (read_split(path, keys=keys, content=content) == splits).all()


def test_images_are_known_by_their_content_when_renamed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "split.csv")
    order = [2, 0, 3, 1]
    keys = ["a/1.png", "moved/a.png", "x.png", "y.png"]  # the first is now the name of another image
    with caplog.at_level(logging.INFO):
        assert (read_split(path, keys=keys, content=contents(4)[order]) == OWN[order]).all()
    assert "4 images have another name" in caplog.text


def test_identical_images_in_two_splits_are_known_by_their_names(tmp_path: Path) -> None:
    content = contents(4)
    content[1] = content[0]
    path = written(tmp_path / "split.csv", content=content)
    assert (read_split(path, keys=KEYS, content=content) == OWN).all()
    with pytest.raises(DataError, match=r"stands in several splits under other names.*1 images: 'new.png'\. Add a row"):
        read_split(path, keys=("new.png", *KEYS[1:]), content=content)


def test_a_copy_of_a_listed_image_is_where_the_image_is(tmp_path: Path) -> None:
    path = written(tmp_path / "split.csv")
    answer = read_split(path, keys=(*KEYS, "copy of 2.png"), content=contents(4)[[0, 1, 2, 3, 1]])
    assert answer.tolist() == [*OWN, "val"]


def test_copies_that_are_all_renamed_are_not_taken_for_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = contents(4)[[0, 1, 2, 0]]  # both in train
    path = written(tmp_path / "split.csv", content=content)
    assert (read_split(path, keys=("w.png", "x.png", "y.png", "z.png"), content=content) == OWN).all()
    assert caplog.text == ""


def test_an_image_that_cannot_be_read_is_known_by_its_name(tmp_path: Path) -> None:
    content = contents(4)
    content[1] = ""
    assert (read_split(written(tmp_path / "split.csv"), keys=KEYS, content=content) == OWN).all()


def test_a_file_of_names_and_splits_is_enough(tmp_path: Path) -> None:
    path = table(tmp_path / "own.csv", "split,image\nval,x.png\n\ntrain,y.png\n")
    assert read_split(path, keys=("y.png", "x.png"), content=contents(2)).tolist() == ["train", "val"]


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    text = written(tmp_path / "split.csv").read_text(encoding="utf-8")
    digits = contents(4)[0][:16]
    path = table(tmp_path / "saved.csv", "\ufeff" + text.replace(digits, digits.upper()))
    assert (read_split(path, keys=("new.png", *KEYS[1:]), content=contents(4)) == OWN).all()


def test_an_image_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "split.csv")
    keys = [*KEYS, *(f"new{i}.png" for i in range(7))]
    expected = (
        f"data.split_file={path} without 7 images: 'new0.png', 'new1.png', 'new2.png', 'new3.png', 'new4.png' ..."
    )
    with pytest.raises(DataError, match=re.escape(expected)):
        read_split(path, keys=keys, content=contents(11))


def test_a_listed_image_whose_content_has_changed_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "split.csv")
    with pytest.raises(DataError, match=r"other content.*1 images: 'b/2.png'.*data.split_file=null.*empty the column"):
        read_split(path, keys=KEYS, content=contents(5)[[0, 1, 2, 4]])


def test_an_emptied_column_of_content_accepts_what_has_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "split.csv", content=np.full(4, ""))
    assert (read_split(path, keys=KEYS, content=contents(4)) == OWN).all()


def test_rows_that_no_image_has_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "split.csv")
    assert (read_split(path, keys=KEYS[:2], content=contents(2)) == OWN[:2]).all()
    assert "lists images that the data set does not have: 2 images: 'b/1.png', 'b/2.png'" in caplog.text


def test_nothing_is_logged_where_file_and_images_agree(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read_split(written(tmp_path / "split.csv"), keys=KEYS, content=contents(4))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,split\nx.png,valid\n",
            r"Unknown split. Received: 'valid'. Available: test, train, val.*split.csv, line 2\.",
        ),
        ("image,split\nx.png,train\nx.png,test\n", r"listed twice. Received: 'x.png', train and test\..*line 3\."),
        ("image,split\nx.png\n", r"A row has 1 cells, and the first row 2\..*line 2\."),
        ("image;split\nx.png;train\n", r"not the CSV of a split.*its first row is 'image;split'"),
        ("image,split,split\nx.png,train,val\n", "not the CSV of a split"),
        ("", "not the CSV of a split"),
        ("\0\1\2\xff\xfe\n\0", "not the CSV of a split"),
        ('image,split\n"x.png,train\n', r"not a readable CSV \(unexpected end of data\)"),
        ("image,split,content\nx.png,train,1.2E+15\n", r"first 16 hexadecimal digits.*Received: '1.2e\+15'.*line 2\."),
    ],
)
def test_what_is_not_a_split_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_split(table(tmp_path / "split.csv", text), keys=("x.png",), content=contents(1))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file.*data.split_file=.*none.csv.*data.split_file=null"):
        read_split(tmp_path / "none.csv", keys=KEYS, content=contents(4))
    with pytest.raises(DataError, match=r"not a readable CSV .*directory"):
        read_split(tmp_path, keys=KEYS, content=contents(4))
