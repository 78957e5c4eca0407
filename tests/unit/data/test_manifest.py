from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medexp.data.manifest import ManifestSource
from medexp.data.source import Examples
from medexp.errors import DataError

ROWS = "image,label,patient_id,split\nb.png,sick,p2,val\na.png,healthy,p1,train\nc.png,sick,p3,test\n"
SEVERAL = "image,findings\na.png,edema|effusion\nb.png,\nc.png,edema\nd.png,No Finding\n"
FLAGS = "image,edema,effusion,site\nb.png,0,1,x\na.png,1,0.0,y\nc.png,False,TRUE,x\n"


def manifest(folder: Path, text: str = ROWS) -> str:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode())
    return str(path)


def read(folder: Path, text: str = ROWS, **options: Any) -> Examples:
    return ManifestSource(manifest=manifest(folder, text), **options).examples()


def named(examples: Examples) -> list[str]:
    return [examples.class_names[label] for label in examples.labels]


def test_rows_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    examples = read(tmp_path, group_column="patient_id")
    assert examples.keys == ("a.png", "b.png", "c.png")
    assert named(examples) == ["healthy", "sick", "sick"]
    assert examples.groups == ("p1", "p2", "p3")
    assert examples.metadata == {"split": ("train", "val", "test")}
    assert [Path(examples.images.name(i)).name for i in range(3)] == ["a.png", "b.png", "c.png"]


def test_without_columns_for_them_there_are_no_groups_and_no_splits(tmp_path: Path) -> None:
    examples = read(tmp_path)
    assert (examples.groups, examples.splits, examples.synthetic, examples.ordered) == (None, None, False, False)


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    examples = read(tmp_path, "file,finding\na.png,x\nb.png,y\n", image_column="file", label_column="finding")
    assert (examples.keys, examples.class_names) == (("a.png", "b.png"), ("x", "y"))


def test_images_are_found_beside_the_manifest_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"nine")
    examples = read(tmp_path)
    monkeypatch.chdir("/")
    assert examples.images.load(0) == b"nine"


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("up.png", "absolute.png"):
        (tmp_path / name).write_bytes(name.encode())
    examples = read(tmp_path / "lists", f"image,label\n../up.png,x\n{tmp_path}/absolute.png,y\n")
    assert {examples.images.load(0), examples.images.load(1)} == {b"up.png", b"absolute.png"}


def test_an_image_that_is_missing_is_left_to_who_reads_it(tmp_path: Path) -> None:
    examples = read(tmp_path)
    with pytest.raises(DataError, match=r"cannot be read \(No such file.*a\.png"):
        examples.images.load(0)


def test_a_class_that_looks_like_a_number_or_nothing_stays_text(tmp_path: Path) -> None:
    examples = read(tmp_path, "image,label\na.png,01\nb.png,NA\nc.png,1\n")
    assert examples.class_names == ("01", "1", "NA")
    assert examples.labels.tolist() == [0, 2, 1]


def test_classes_that_are_all_numbers_go_by_value(tmp_path: Path) -> None:
    examples = read(tmp_path, "image,label\na.png,10\nb.png,2\nc.png,-1\nd.png,2.5\n")
    assert examples.class_names == ("-1", "2", "2.5", "10")
    assert examples.labels.tolist() == [3, 1, 0, 2]


@pytest.mark.parametrize(
    ("spelling", "split"),
    [
        ("train", "train"), ("Training", "train"), ("val", "val"), ("VALID", "val"), ("Validation", "val"),
        ("dev", "val"), ("TEST", "test"), ("testing ", "test"),
    ],
)  # fmt: skip
def test_a_split_may_be_spelled_in_the_usual_ways(spelling: str, split: str, tmp_path: Path) -> None:
    text = f"image,label,split\na.png,x,{spelling}\nb.png,y,train\n"
    assert read(tmp_path, text, split_column="split").splits == (split, "train")


def test_a_split_that_is_missing_is_left_to_who_needs_it(tmp_path: Path) -> None:
    text = "image,label,split\na.png,x,train\nb.png,y,test\n"
    assert read(tmp_path, text, split_column="split").splits == ("train", "test")


def test_a_patient_in_two_splits_is_left_to_the_audit(tmp_path: Path) -> None:
    examples = read(tmp_path, ROWS.replace("p3", "p1"), group_column="patient_id", split_column="split")
    assert examples.groups == ("p1", "p2", "p1")
    assert examples.splits == ("train", "val", "test")


def test_other_columns_are_kept_and_a_missing_value_is_empty(tmp_path: Path) -> None:
    text = "image,label,site,age,note\nb.png,y,B,,\na.png,x,A,63,ok\n"
    assert read(tmp_path, text).metadata == {"site": ("A", "B"), "age": ("63", ""), "note": ("ok", "")}
    assert read(tmp_path, text, group_column="site").metadata == {"age": ("63", ""), "note": ("ok", "")}
    assert read(tmp_path, text, metadata_columns=["age"]).metadata == {"age": ("63", "")}
    assert read(tmp_path, text, metadata_columns=[]).metadata == {}


def test_a_column_without_a_name_is_no_metadata(tmp_path: Path) -> None:
    assert read(tmp_path, ",image,label\n0,a.png,x\n1,b.png,y\n").metadata == {}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + ROWS,
        ROWS.replace("\n", "\r\n"),
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        ROWS.replace(",", ", "),
        ROWS.replace("\n", " \n").replace("label", " label "),
        ROWS.replace("sick,p2", "sick ,p2 "),
        ROWS.replace("b.png,sick,", 'b.png, "sick", '),
        ROWS.replace("\n", ",\n"),
        ROWS + "\n\n",
        ROWS.rstrip("\n"),
        '"image","label","patient_id","split"\n' + ROWS.partition("\n")[2],
    ],
    ids=["BOM", "CRLF", "semicolons", "tabs", "spaces after", "spaces before", "space in one cell",
         "space before a quote", "comma at the end", "empty lines",
         "no line end", "quoted"],
)  # fmt: skip
def test_a_csv_is_read_as_spreadsheets_write_it(text: str, tmp_path: Path) -> None:
    examples = read(tmp_path, text, group_column="patient_id", split_column="split")
    assert examples.keys == ("a.png", "b.png", "c.png")
    assert named(examples) == ["healthy", "sick", "sick"]
    assert (examples.groups, examples.splits) == (("p1", "p2", "p3"), ("train", "val", "test"))
    assert examples.metadata == {}


def test_a_comma_in_quotes_separates_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, 'image,label\na.png,"x, y"\nb.png,z\n').class_names == ("x, y", "z")


def test_paths_of_windows_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, "image,label\nscans\\a.png,x\n./b.png,y\n").keys == ("b.png", "scans/a.png")


def test_cells_name_several_classes(tmp_path: Path) -> None:
    examples = read(tmp_path, SEVERAL, label_column="findings", label_separator="|", no_finding="No Finding")
    assert examples.class_names == ("edema", "effusion")
    assert examples.labels.tolist() == [[1, 1], [0, 0], [1, 0], [0, 0]]
    assert not examples.ordered


def test_without_a_word_for_none_it_is_a_class(tmp_path: Path) -> None:
    examples = read(tmp_path, SEVERAL, label_column="findings", label_separator="|")
    assert examples.class_names == ("No Finding", "edema", "effusion")


def test_columns_of_0_and_1_are_classes_in_their_order(tmp_path: Path) -> None:
    examples = read(tmp_path, FLAGS, label_columns=["effusion", "edema"])
    assert examples.class_names == ("effusion", "edema")
    assert examples.labels.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert examples.ordered
    assert list(examples.metadata) == ["site"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "not a readable CSV"),
        ('image,label\n"a.png,x\n', {}, "not a readable CSV"),
        ("image,label\na.png,x,1\nb.png,y,2\n", {}, "more cells than there are columns"),
        ("image,label\na.png,x\nb.png,y,2\n", {}, "not a readable CSV"),
        ("image,label,label\na.png,x,y\n", {}, r"Two columns have one name. Received: 'label'"),
        ("image,label\na.png,x\n", {}, r"needs two classes.*\['x'\].*data\.label_column="),
        ("image,label\n", {}, "needs two classes"),
        (ROWS, {"label_column": "labl"}, r"data\.label_column: Unknown column.*Did you mean 'label'\?.*Override"),
        (ROWS, {"label_column": None}, r"no labels.*data\.label_column="),
        (ROWS, {"image_column": "path"}, r"data\.image_column.*Available: image, label, patient_id, split"),
        (ROWS, {"group_column": "patient"}, r"data\.group_column.*Did you mean 'patient_id'"),
        (ROWS, {"split_column": "fold"}, r"data\.split_column"),
        (ROWS, {"metadata_columns": ["age"]}, r"data\.metadata_columns: Unknown column. Received: 'age'"),
        ("image,label\na.png,x\nb.png,\n", {}, r"data\.label_column.*empty cells, 1 of 2.*row 3"),
        ("image,label\na.png,x\nb.png\n", {}, r"data\.label_column.*empty cells, 1 of 2.*row 3"),
        ("image,label\n,x\nb.png,y\n", {}, r"data\.image_column.*empty cells.*row 2"),
        ("image,label,patient_id\na.png,x,\nb.png,y,1\n", {"group_column": "patient_id"}, r"data\.group_column.*empty"),
        ("image,label\nb.png,x\na.png,x\n./b.png,y\n", {}, r"listed twice.*b\.png.*rows 2 and 4"),
        (ROWS.replace("val", "holdout"), {"split_column": "split"}, "Unknown split.*'holdout'.*Available:.*train"),
        (ROWS.replace("train", "test"), {"split_column": "split"}, r"nothing to train on.*\['test', 'val'\]"),
        (FLAGS, {"label_columns": ["edema"]}, r"two columns.*data\.label_column="),
        (FLAGS, {"label_columns": ["edema", "site"]}, "0 or 1. Received: 'y' in column 'site'.*row 3"),
        (FLAGS.replace("0,1,x", ",1,x"), {"label_columns": ["edema", "effusion"]}, r"label_columns.*empty.*row 2"),
        (FLAGS, {"label_columns": ["edema", "efusion"]}, r"data\.label_columns.*Did you mean 'effusion'"),
        (FLAGS, {"label_columns": ["edema", "effusion"], "label_column": "site"}, "one column or in many"),
        (FLAGS, {"label_columns": ["edema", "effusion"], "label_separator": "|"}, "nothing to separate"),
        (SEVERAL, {"label_column": "findings", "no_finding": "No Finding"}, r"data\.label_separator="),
        (SEVERAL, {"label_column": "findings", "label_separator": ""}, "separator has a character"),
        (SEVERAL, {"label_column": "findings", "label_separator": "|", "no_finding": "edema"}, "a finding.*row 2"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_refused_with_the_reason(
    text: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=f"(?i){message}"):
        read(tmp_path, text, **options)


@pytest.mark.parametrize("content", [b"image,label\n\xff\xfe,x\n", "image,label\na.png,x\n".encode("utf-16")])
def test_bytes_that_are_no_text_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"Not a readable CSV.*Save it as UTF-8"):
        ManifestSource(manifest=str(tmp_path / "manifest.csv")).examples()


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_missing_manifest_is_named_with_the_override_that_mends_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"data\.manifest={tmp_path}/{name}\. Override: data\.manifest="):
        ManifestSource(manifest=str(tmp_path / name)).examples()


def test_a_folder_instead_of_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Not a readable CSV"):
        ManifestSource(manifest=str(tmp_path)).examples()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"image,label\na.png,x\n"])
def test_a_parquet_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"Not a readable Parquet.*data\.manifest=.*m\.parquet"):
        ManifestSource(manifest=str(tmp_path / "m.parquet")).examples()


def test_parquet_says_what_the_csv_says(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "image": ["b.png", "a.png", "c.png", "d.png"],
            "label": pd.Categorical([10, 2, 2, 10]),
            "patient": [7, 8, 8, None],
            "sex": ["F", None, "M", "F"],
            "age": [63.5, float("nan"), 1.0, 2.0],
            "smoker": [True, False, True, None],
        }
    ).fillna({"patient": 9})
    table.to_parquet(tmp_path / "m.parquet")
    options: dict[str, Any] = {"group_column": "patient"}
    examples = ManifestSource(manifest=str(tmp_path / "m.parquet"), **options).examples()
    assert examples.keys == ("a.png", "b.png", "c.png", "d.png")
    assert (examples.class_names, examples.labels.tolist()) == (("2", "10"), [0, 1, 0, 1])
    assert examples.groups == ("8", "7", "8", "9")
    assert examples.metadata == {
        "sex": ("", "F", "M", "F"), "age": ("", "63.5", "1.0", "2.0"), "smoker": ("False", "True", "True", ""),
    }  # fmt: skip


def test_an_index_of_parquet_is_a_column_if_it_has_a_name(tmp_path: Path) -> None:
    table = pd.DataFrame({"image": ["b.png", "a.png"], "label": ["x", "y"]})
    table.set_index("image").to_parquet(tmp_path / "named.parquet")
    table.sort_values("image").to_parquet(tmp_path / "nameless.parquet")
    for name in ("named", "nameless"):
        examples = ManifestSource(manifest=str(tmp_path / f"{name}.parquet")).examples()
        assert (examples.keys, examples.metadata) == (("a.png", "b.png"), {})


def test_fifty_thousand_rows_are_read_in_about_a_second(tmp_path: Path) -> None:
    count = 50_000
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "image": [f"images/{i % 97}/{i:08d}.png" for i in rng.permutation(count)],
            "label": rng.choice(list("abcd"), count),
            "patient": rng.integers(0, 9999, count),
            "site": rng.choice(["north", "south"], count),
            "split": rng.choice(["Train", "val", "TEST"], count),
        }
    )
    table.to_csv(tmp_path / "m.csv", index=False)
    source = ManifestSource(manifest=str(tmp_path / "m.csv"), group_column="patient", split_column="split")
    start = time.process_time()
    examples = source.examples()
    assert time.process_time() - start < 3
    assert len(examples.keys) == len(examples.images) == count


def test_the_red_cells_are_read_with_their_smears(red_cells: Path) -> None:
    examples = ManifestSource(manifest=str(red_cells / "manifest.csv"), group_column="smear_id").examples()
    assert len(examples.keys) == 7887
    assert len(examples.class_names) == 12
    assert len(set(examples.groups or ())) == 240
    assert examples.metadata == {}
    for i in (0, 4000, 7886):
        assert Path(examples.images.name(i)).parent.name == examples.class_names[examples.labels[i]]
        assert examples.images.load(i)[:2] == b"\xff\xd8"


def test_columns_that_are_not_kept_are_there_for_the_audit(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image,label,site,patient_id\na.png,x,n,p1\nb.png,y,s,p2\n")
    found = ManifestSource(manifest=str(tmp_path / "m.csv"), metadata_columns=["site"]).examples()
    assert (dict(found.metadata), dict(found.hidden)) == ({"site": ("n", "s")}, {"patient_id": ("p1", "p2")})
    named = ManifestSource(manifest=str(tmp_path / "m.csv"), metadata_columns=[], group_column="patient_id").examples()
    assert dict(named.hidden) == {"site": ("n", "s")}


def test_a_split_that_is_not_used_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "m.csv").write_text("image,label,Split\na.png,x,train\nb.png,y,test\n")
    ManifestSource(manifest=str(tmp_path / "m.csv")).examples()
    assert "data.split_column=Split" in caplog.text


def test_a_missing_number_is_no_class(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image,label\na.png,1\nb.png,NaN\nc.png,2\n")
    with pytest.raises(DataError, match="empty cells"):
        ManifestSource(manifest=str(tmp_path / "m.csv")).examples()
