from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.data.manifest import ManifestSource
from medexp.errors import DataError

ROWS = "image,label,patient_id,split\nb.png,sick,p2,val\na.png,healthy,p1,train\nc.png,sick,p3,test\n"


def manifest(folder: Path, text: str = ROWS) -> str:
    path = folder / "manifest.csv"
    path.write_text(text)
    return str(path)


def test_rows_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    examples = ManifestSource(manifest=manifest(tmp_path)).examples()
    assert examples.keys == ("a.png", "b.png", "c.png")
    assert [examples.class_names[label] for label in examples.labels] == ["healthy", "sick", "sick"]


def test_without_columns_for_them_there_are_no_groups_and_no_splits(tmp_path: Path) -> None:
    examples = ManifestSource(manifest=manifest(tmp_path)).examples()
    assert (examples.groups, examples.splits, examples.synthetic) == (None, None, False)


def test_groups_and_splits_are_read_from_their_columns(tmp_path: Path) -> None:
    source = ManifestSource(manifest=manifest(tmp_path), group_column="patient_id", split_column="split")
    assert source.examples().groups == ("p1", "p2", "p3")
    assert source.examples().splits == ("train", "val", "test")


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = manifest(tmp_path, "file,finding\na.png,x\nb.png,y\n")
    examples = ManifestSource(manifest=path, image_column="file", label_column="finding").examples()
    assert (examples.keys, examples.class_names) == (("a.png", "b.png"), ("x", "y"))


def test_images_are_found_beside_the_manifest_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.full((2, 2), 9, np.uint8)).save(tmp_path / "a.png")
    examples = ManifestSource(manifest=manifest(tmp_path)).examples()
    monkeypatch.chdir("/")
    assert (examples.read(0) == 9).all()


def test_a_class_that_looks_like_a_number_or_nothing_stays_text(tmp_path: Path) -> None:
    examples = ManifestSource(manifest=manifest(tmp_path, "image,label\na.png,01\nb.png,NA\nc.png,1\n")).examples()
    assert examples.class_names == ("01", "1", "NA")
    assert examples.labels.tolist() == [0, 2, 1]


def test_an_image_that_is_missing_is_named_when_it_is_read(tmp_path: Path) -> None:
    examples = ManifestSource(manifest=manifest(tmp_path)).examples()
    with pytest.raises(DataError, match=r"cannot be read \(No such file.*a\.png"):
        examples.read(0)


def test_an_image_that_is_damaged_is_named_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    examples = ManifestSource(manifest=manifest(tmp_path)).examples()
    with pytest.raises(DataError, match=r"Not a readable image.*a\.png"):
        examples.read(0)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "not a readable CSV"),
        ('image,label\n"a.png,x\n', {}, "not a readable CSV"),
        ("image,label\na.png,x\n", {}, r"needs two classes.*\['x'\]"),
        ("image,label\n", {}, "needs two classes"),
        (ROWS, {"label_column": "labl"}, r"data\.label_column: Unknown column.*Did you mean 'label'\?"),
        (ROWS, {"image_column": "path"}, r"data\.image_column.*Available: image, label, patient_id, split"),
        (ROWS, {"group_column": "patient"}, r"data\.group_column.*Did you mean 'patient_id'"),
        (ROWS, {"split_column": "fold"}, r"data\.split_column"),
        ("image,label\na.png,x\nb.png,\n", {}, r"data\.label_column.*empty cells.*row 3"),
        ("image,label\n,x\nb.png,y\n", {}, r"data\.image_column.*empty cells.*row 2"),
        ("image,label\na.png,x\na.png,y\n", {}, r"listed twice.*a\.png"),
        (ROWS.replace("val", "dev"), {"split_column": "split"}, "Unknown split.*'dev'.*Available: test, train, val"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_reason(
    text: str, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        ManifestSource(manifest=manifest(tmp_path, text), **options).examples()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"image,label\n\xff\xfe,x\n")
    with pytest.raises(DataError, match="not a readable CSV"):
        ManifestSource(manifest=str(tmp_path / "manifest.csv")).examples()


def test_a_missing_manifest_is_named_with_the_override_that_mends_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"data\.manifest={tmp_path}/none\.csv\. Override: data\.manifest="):
        ManifestSource(manifest=str(tmp_path / "none.csv")).examples()


def test_a_folder_instead_of_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable CSV"):
        ManifestSource(manifest=str(tmp_path)).examples()


def test_a_patient_in_two_of_the_given_splits_is_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path, ROWS.replace("p3", "p1"))
    with pytest.raises(DataError, match="p1"):
        ManifestSource(manifest=path, group_column="patient_id", split_column="split").examples()
