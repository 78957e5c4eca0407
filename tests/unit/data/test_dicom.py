from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from medexp.data.dicom import DicomSource
from medexp.data.source import Examples
from medexp.errors import DataError

TABLE = "SOPInstanceUID,label,site\n1.2.3,sick,north\n1.2.1,healthy,south\n1.2.2,sick,\n"


def write(path: Path, uid: str | None, *, pixels: bool = True, kind: str = "", **tags: Any) -> None:
    """Write a DICOM file of 4 x 4 pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = kind or DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = uid or "1.2.9"
    if uid:
        dataset.SOPInstanceUID = uid
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    for keyword, value in {"PatientID": "p0", **tags}.items():
        setattr(dataset, keyword, value)
    if pixels:
        dataset.Rows = dataset.Columns = 4
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.PixelData = np.arange(16, dtype=np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three images of two patients; the names of the files are in another order than their UIDs."""
    write(tmp_path / "set/a/3.dcm", "1.2.3", PatientID="p2", PatientSex="F", PatientAge="063Y", Manufacturer="X")
    write(tmp_path / "set/b/deep/1.DCM", "1.2.1", PatientID="p1", PatientSex="M", PatientAge="018M")
    write(tmp_path / "set/b/IM0002", "1.2.2", PatientID="p2", PatientAge="010D", ImageType=["DERIVED", "PRIMARY"])
    return tmp_path


def read(folder: Path, text: str = TABLE, **options: Any) -> Examples:
    (folder / "labels.csv").write_text(text)
    return DicomSource(root=str(folder / "set"), labels=str(folder / "labels.csv"), **options).examples()


def by_key(examples: Examples, values: Any) -> Mapping[str, Any]:
    return dict(zip(examples.keys, values, strict=True))


def test_files_are_found_by_suffix_or_first_bytes_and_labelled_by_their_uid(three: Path) -> None:
    examples = read(three)
    assert examples.keys == ("1.2.1", "1.2.2", "1.2.3")
    assert [examples.class_names[label] for label in examples.labels] == ["healthy", "sick", "sick"]
    assert [Path(examples.images.name(i)).name for i in range(3)] == ["1.DCM", "IM0002", "3.dcm"]
    assert pydicom.dcmread(examples.images.name(1)).SOPInstanceUID == "1.2.2"


def test_a_patient_is_a_group_unless_another_tag_or_none_is(three: Path) -> None:
    assert read(three).groups == ("p1", "p2", "p2")
    assert read(three, group=None).groups is None
    assert read(three, group="SOPClassUID").groups == (DigitalXRayImageStorageForPresentation,) * 3


def test_the_audit_sees_patient_and_study_whatever_is_kept(three: Path) -> None:
    assert read(three).hidden.keys() == {"StudyInstanceUID"}
    alone = read(three, group=None)
    assert alone.hidden["PatientID"] == ("p1", "p2", "p2")
    assert "PatientID" not in alone.metadata
    assert "PatientID" in read(three, group="SOPClassUID").hidden


def test_tags_and_columns_are_kept_beside_the_images(three: Path) -> None:
    examples = read(three, metadata=["PatientSex", "Manufacturer", "ImageType"])
    assert examples.metadata == {
        "PatientSex": ("M", "", "F"),
        "Manufacturer": ("", "", "X"),
        "ImageType": ("", "DERIVED\\PRIMARY", ""),
        "site": ("south", "", "north"),
    }
    assert list(read(three, metadata_columns=[]).metadata) == []


def test_an_age_is_kept_in_years(three: Path) -> None:
    assert read(three, metadata=["PatientAge"]).metadata["PatientAge"] == ("1.5", "0.02738", "63")


def test_a_column_called_like_a_tag_is_what_is_kept(three: Path) -> None:
    table = TABLE.replace("site", "PatientSex")
    assert read(three, table, metadata=["PatientSex"]).metadata == {"PatientSex": ("south", "", "north")}


def test_one_row_labels_all_images_with_the_value_of_its_tag(three: Path) -> None:
    table = "patient,grade,split\np1,0,Training\np2,10,test\n"
    options = {"key": "PatientID", "key_column": "patient", "label_column": "grade", "split_column": "split"}
    examples = read(three, table, **options)
    assert by_key(examples, examples.labels) == {"1.2.1": 0, "1.2.2": 1, "1.2.3": 1}
    assert examples.class_names == ("0", "10")
    assert by_key(examples, examples.splits) == {"1.2.1": "train", "1.2.2": "test", "1.2.3": "test"}
    assert examples.metadata == {}


def test_an_image_may_have_several_labels(three: Path) -> None:
    table = "SOPInstanceUID,edema,mass\n1.2.3,1,1\n1.2.1,0,0\n1.2.2,0,1\n"
    examples = read(three, table, label_columns=["edema", "mass"])
    assert by_key(examples, examples.labels.tolist()) == {"1.2.1": [0, 0], "1.2.2": [0, 1], "1.2.3": [1, 1]}


def test_a_key_of_digits_keeps_its_zeros(tmp_path: Path) -> None:
    for i, number in enumerate(("007", "07")):
        write(tmp_path / f"set/{i}.dcm", f"1.2.{i}", AccessionNumber=number)
    examples = read(tmp_path, "AccessionNumber,label\n07,x\n007,y\n", key="AccessionNumber")
    assert [examples.class_names[label] for label in examples.labels] == ["y", "x"]


def test_reports_directories_and_other_files_are_left_out(three: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(three / "set/report.dcm", "1.2.7", pixels=False, kind=BasicTextSRStorage)
    write(three / "set/DICOMDIR", None, pixels=False, kind=MediaStorageDirectoryStorage)
    (three / "set/notes.txt").write_text("1.2.3")
    (three / "set/.hidden.dcm").write_text("x")
    with caplog.at_level(logging.INFO):
        assert len(read(three).keys) == 3
    assert "2 DICOM files have no pixels and are left out" in caplog.text


def test_pixels_are_not_read(three: Path) -> None:
    whole = (three / "set/a/3.dcm").read_bytes()
    (three / "set/a/3.dcm").write_bytes(whole[:-20])
    assert len(read(three).keys) == 3


def test_a_name_is_the_key_but_nowhere_kept(three: Path) -> None:
    for name, person in (("a/3.dcm", "Roe^Jane"), ("b/deep/1.DCM", "Doe^John"), ("b/IM0002", "Roe^Jane")):
        dataset = pydicom.dcmread(three / "set" / name)
        dataset.PatientName = person
        dataset.save_as(three / "set" / name)
    examples = read(three, "PatientName,label\nRoe^Jane,x\nDoe^John,y\n", key="PatientName")
    assert examples.keys == ("1.2.1", "1.2.2", "1.2.3")
    assert "Roe" not in repr([examples.metadata, examples.groups, examples.keys])
    with pytest.raises(DataError) as caught:
        read(three, "PatientName,label\nRoe^Jane,x\nPoe^Jim,y\n", key="PatientName")
    with pytest.raises(DataError) as none:
        read(three, "PatientName,label\nPoe^Ann,x\nPoe^Jim,y\n", key="PatientName")
    assert "^" not in str(caught.value) + str(none.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "SOPInstanceUId"}, r"data\.key: no DICOM tag.*Did you mean 'SOPInstanceUID'"),
        ({"key": "(0010,0020)"}, "no DICOM tag.*Keywords are written like PatientID"),
        ({"group": "PatientId"}, r"data\.group: no DICOM tag.*Did you mean 'PatientID'"),
        ({"group": "PatientName"}, r"data\.group: a person's name would be kept"),
        ({"metadata": ["PatientSex", "ReferringPhysicianName"]}, r"data\.metadata: a person's name"),
        ({"metadata": ["PixelData"]}, r"data\.metadata: this tag has no text"),
        ({"metadata": ["RequestAttributesSequence"]}, r"no text. Received: .*SQ"),
        ({"label_column": None}, "There are no labels"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_refused_before_anything_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        DicomSource(root="/nowhere", labels="/nowhere.csv", **options)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (TABLE + "1.2.4,sick,\n1.2.5,sick,\n", {}, r"A row has no file.*2 rows \(5, 6\) of 5.*data\.unmatched=skip"),
        (TABLE.replace("1.2.2,sick,\n", ""), {}, r"A file has no row.*1 file \(b/IM0002\) of 3.*data\.unmatched=skip"),
        (TABLE.replace("1.2.", "9."), {}, r"No row.*3 rows.*3 files.*'9\.3' and '1\.2\.1'.*data\.key="),
        (TABLE + "1.2.1,sick,\n", {}, r"one row for each SOPInstanceUID.*2 rows \(3, 5\)"),
        (TABLE, {"key_column": "uid"}, r"data\.key_column: Unknown column"),
        (TABLE, {"label_column": "finding"}, r"data\.label_column: Unknown column"),
        (TABLE, {"key": "StudyID", "key_column": "site"}, r"data\.key_column: column 'site' has empty cells"),
        (TABLE, {"group": "AccessionNumber"}, r"data\.group: a file has no AccessionNumber.*3 files.*null"),
        (TABLE, {"metadata_columns": ["age"]}, r"data\.metadata_columns: Unknown column"),
        (TABLE.replace("healthy", "sick"), {}, "needs two classes"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text: str, options: dict[str, Any], message: str, three: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(three, text, **options)


def test_what_does_not_match_may_be_skipped_and_is_said(three: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(three / "set/x.dcm", "1.2.8")
    (three / "set/broken.dcm").write_bytes(b"x" * 200)
    with caplog.at_level(logging.WARNING):
        examples = read(three, TABLE + "1.2.4,other,\n", unmatched="skip")
    assert examples.keys == ("1.2.1", "1.2.2", "1.2.3")
    assert examples.class_names == ("healthy", "sick")
    for part in ("1 file (x.dcm), which has no row", "1 row (5), which has no file", "1 file (broken.dcm"):
        assert part in caplog.text


@pytest.mark.filterwarnings("ignore:End of file reached")
@pytest.mark.parametrize("content", [b"", b"not DICOM", b"\0" * 128 + b"DICM" + b"\xff" * 50])
def test_a_file_that_is_not_readable_dicom_is_named(content: bytes, three: Path) -> None:
    (three / "set/bad.dcm").write_bytes(content)
    with pytest.raises(DataError, match=r"not readable DICOM.*bad\.dcm \(.+\).*data\.unmatched=skip"):
        read(three)


def test_two_files_of_one_image_are_refused(three: Path) -> None:
    write(three / "set/copy.dcm", "1.2.2")
    with pytest.raises(DataError, match=r"one SOPInstanceUID.*(b/IM0002 and copy|copy.dcm and b/IM)"):
        read(three)


def test_an_image_without_a_uid_is_refused(three: Path) -> None:
    write(three / "set/anonymous.dcm", None, PatientID="p1")
    with pytest.raises(DataError, match=r"has a SOPInstanceUID.*anonymous\.dcm"):
        read(three)


def test_a_folder_without_images_or_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder. Received: data\.root=.*Override: data\.root="):
        read(tmp_path)
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match=r"No DICOM image is there.*data\.root="):
        read(tmp_path)


def test_a_missing_table_is_named(three: Path) -> None:
    with pytest.raises(DataError, match=r"no such file. Received: data\.labels=.*none\.csv\. Override: data\.labels="):
        DicomSource(root=str(three / "set"), labels=str(three / "none.csv")).examples()


def test_a_value_that_breaks_a_rule_is_not_printed(three: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = three / "set/a/3.dcm"
    path.write_bytes(path.read_bytes().replace(b"063Y", b"Roe.").replace(b"1.2.3", b"1.02."))
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert read(three, TABLE.replace("1.2.3", "1.02."), metadata=["PatientAge"]).metadata["PatientAge"][0] == "Roe."
    assert (shown, caplog.text) == ([], "")


REAL = {
    "CT_small.dcm": True, "MR_small.dcm": True, "JPEG2000.dcm": True, "JPEG-lossy.dcm": True, "SC_rgb_rle.dcm": True,
    "reportsi.dcm": False, "rtplan.dcm": False, "waveform_ecg.dcm": False,
}  # fmt: skip


def test_real_files_of_many_kinds_are_read(tmp_path: Path) -> None:
    """Some that pydicom brings along: three scanners, four transfer syntaxes, and what is no image."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    if not all((folder / name).is_file() for name in REAL):
        pytest.skip("pydicom was installed without its test files")
    (tmp_path / "set").mkdir()
    rows = "uid,label\n"
    for name, image in REAL.items():
        (tmp_path / "set" / name).symlink_to(folder / name)
        if image:
            rows += f"{pydicom.dcmread(folder / name, stop_before_pixels=True).SOPInstanceUID},{name[:2]}\n"
    examples = read(tmp_path, rows, key_column="uid", metadata=["Modality", "Manufacturer"])
    found = {Path(examples.images.name(i)).name: i for i in range(len(examples.keys))}
    assert set(found) == {name for name, image in REAL.items() if image}
    assert {name[:2]: examples.class_names[examples.labels[i]] for name, i in found.items()} == {
        name[:2]: name[:2] for name in found
    }
    assert examples.metadata["Modality"][found["CT_small.dcm"]] == "CT"
    assert examples.metadata["Manufacturer"][found["MR_small.dcm"]] == "TOSHIBA_MEC"


def test_a_file_that_was_cut_off_is_an_image_that_cannot_be_read(three: Path) -> None:
    whole = (three / "set/a/3.dcm").read_bytes()
    end = whole.index(b"p2") + 2
    (three / "set/a/3.dcm").write_bytes(whole[:end])
    assert len(read(three).keys) == 3
