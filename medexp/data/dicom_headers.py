"""What the headers of DICOM files say, without their pixels."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.uid import UID, MediaStorageDirectoryStorage

from medexp.errors import DataError

SUFFIXES = (".dcm", ".dicom")
MAGIC = b"DICM"  # after a preamble of 128 bytes; DICOM PS3.10, section 7.1
WITHOUT_TEXT = {"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN"}
YEARS = {"Y": 1, "M": 12, "W": 52.1775, "D": 365.2425}


@dataclass(frozen=True)
class Header:
    """One file.

    Args:
        path: below the folder that was searched.
        uid: SOPInstanceUID; "" where the file has none.
        image: whether it has pixels; reports and directories have none.
        values: of the tags that were asked for, by keyword; "" where the file has none.
        error: why it could not be read; "" where it could.
    """

    path: str
    uid: str
    image: bool
    values: dict[str, str]
    error: str = ""


def check_keyword(keyword: str, *, key: str, person: bool = False) -> None:
    """Refuse what is no tag, has no text, or names a person.

    Args:
        keyword: of the tag, such as `PatientID`.
        key: the configuration's key that chose it, for the error.
        person: whether a person's name may be used, because it is not kept.

    Raises:
        DataError: it says which keyword was meant, or what to use.
    """
    if keyword not in keyword_dict:
        near = difflib.get_close_matches(keyword, keyword_dict, n=1)
        raise DataError(
            f"{key}: no DICOM tag has this keyword. Received: {keyword!r}."
            f"{f' Did you mean {near[0]!r}?' if near else ' Keywords are written like PatientID (DICOM PS3.6).'}"
        )
    kind = dictionary_VR(keyword)
    if kind == "PN" and not person:
        raise DataError(
            f"{key}: a person's name would be kept with the results. Received: {keyword!r}. Use another tag, such as "
            "PatientID of files without names."
        )
    if set(kind.split(" or ")) & WITHOUT_TEXT:
        raise DataError(f"{key}: this tag has no text. Received: {keyword!r}, which is {kind}. Choose another tag.")


def read_headers(root: Path, paths: Sequence[str], keywords: Sequence[str]) -> list[Header]:
    """Return the headers of those of `paths` that are DICOM files: by their first bytes, or by their suffix.

    Args:
        root: the folder.
        paths: below it.
        keywords: of the tags wanted; an age (`PatientAge`) is given in years.
    """
    tags = [*dict.fromkeys(("SOPInstanceUID", "SOPClassUID", "Rows", *keywords))]
    quiet = pydicom.config.disable_value_validation()  # else a value that breaks a rule is printed, names and all
    with quiet, ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        found = pool.map(lambda path: _read(root, path, tags, keywords), paths, chunksize=64)
        return [header for header in found if header is not None]


def _read(root: Path, path: str, tags: list[str], keywords: Sequence[str]) -> Header | None:
    try:
        if not path.lower().endswith(SUFFIXES):
            with (root / path).open("rb") as file:
                if file.read(132)[128:] != MAGIC:
                    return None
        header = pydicom.dcmread(root / path, stop_before_pixels=True, specific_tags=list(tags))
        kind = UID(_text(header, "SOPClassUID") or str(header.file_meta.get("MediaStorageSOPClassUID", "")))
        uid = _text(header, "SOPInstanceUID")
        if not uid and "Rows" not in header and kind != MediaStorageDirectoryStorage:
            raise ValueError("its header is damaged")
        # Where a file was cut off, its kind still says what it was.
        image = "Rows" in header or "Image Storage" in kind.name
        return Header(path, uid, image, {keyword: _text(header, keyword) for keyword in keywords})
    except Exception as error:  # pydicom raises whatever a damaged file leads to
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        return Header(path, "", False, {}, error=reason)


def _text(header: pydicom.Dataset, keyword: str) -> str:
    value: Any = header.get(keyword)
    if value is None:
        return ""
    if dictionary_VR(keyword) == "AS":
        return _years(str(value))
    parts = value if isinstance(value, pydicom.multival.MultiValue) else [value]
    return "\\".join(str(part) for part in parts).strip()


def _years(age: str) -> str:
    """An age string such as 063Y or 018M (DICOM PS3.5, section 6.2) in years; as it stands where it is none."""
    number, unit = age[:-1], age[-1:]
    return f"{int(number) / YEARS[unit]:.4g}" if number.isdigit() and unit in YEARS else age.strip()
