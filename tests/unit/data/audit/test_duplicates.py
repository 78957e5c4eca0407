from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from medexp.types import InputSpec


def kinds(report: Any) -> dict[str, Any]:
    return {finding.kind: finding for finding in report.findings}


def split_of(n: int) -> list[str]:
    return [("train", "val", "test")[i % 3] for i in range(n)]


def png(pixels: np.ndarray, level: int = 6) -> bytes:
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG", compress_level=level)
    return file.getvalue()


def test_a_set_without_copies_has_no_findings_of_copies(scans: np.ndarray, make: Any, audited: Any) -> None:
    found = kinds(audited(make(scans, np.arange(60) // 30, split_of(60))))
    assert not any("duplicates" in kind or "conflict" in kind for kind in found)


def test_the_same_pixels_in_two_files_are_the_same_image(scans: np.ndarray, make: Any, audited: Any) -> None:
    files = [png(scan) for scan in scans] + [png(scans[0], level=1)]
    assert files[0] != files[-1]
    made = make(files, np.r_[np.arange(60) // 30, 0], [*split_of(60), "val"], spec=InputSpec(32, 32, 1))
    (pair,) = kinds(audited(made))["duplicates_across_splits"].instances
    assert [image.key for image in pair.images] == ["00000", "00060"]
    assert len(set(pair.tokens)) == 2


def test_a_copy_with_another_label_is_a_conflict_in_one_split_too(scans: np.ndarray, make: Any, audited: Any) -> None:
    found = kinds(audited(make([*scans, scans[3]], np.r_[np.arange(60) // 30, 1], [*split_of(60), "train"])))
    assert found["conflicting_labels"].severity == "refuse"
    assert {image.label for image in found["conflicting_labels"].instances[0].images} == {"well", "ill"}
    assert "duplicates_across_splits" not in found
    assert found["duplicates_within_split"].severity == "warn"


def test_a_copy_that_differs_in_one_label_of_many_is_a_conflict(scans: np.ndarray, make: Any, audited: Any) -> None:
    labels = np.tile([[0, 1, 1], [1, 0, 0], [1, 1, 0]], (20, 1))
    labels = np.vstack([labels, [0, 1, 0]])
    made = make([*scans, scans[0]], labels, [*split_of(60), "train"], classes="abc", task="multilabel")
    (pair,) = kinds(audited(made))["conflicting_labels"].instances
    assert sorted(image.label for image in pair.images) == ["b", "b + c"]


def test_near_duplicates_are_refused_across_splits_and_noted_within_one(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    near = np.clip(scans[:2] + np.random.default_rng(0).normal(0, 3, scans[:2].shape), 0, 255).astype(np.uint8)
    made = make([*scans, *near], np.r_[np.arange(60) // 30, 0, 1], [*split_of(60), "test", "val"])
    found = kinds(audited(made))
    across, within = found["near_duplicates_across_splits"], found["near_duplicates_within_split"]
    assert (across.severity, [i.key for i in across.instances[0].images]) == ("refuse", ["00000", "00060"])
    assert (within.severity, [i.key for i in within.instances[0].images]) == ("note", ["00001", "00061"])
    assert [i.key for i in found["near_conflicts"].instances[0].images] == ["00001", "00061"]


def test_near_duplicates_of_one_patient_in_one_split_are_as_expected(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    near = np.clip(scans[:1] + np.random.default_rng(0).normal(0, 3, scans[:1].shape), 0, 255).astype(np.uint8)
    groups = [f"p{i}" for i in range(60)] + ["p0"]
    made = make([*scans, *near], np.r_[np.arange(60) // 30, 0], [*split_of(60), "train"], groups=groups)
    assert not any("near" in kind for kind in kinds(audited(made)))


def test_a_near_duplicate_of_an_image_with_copies_is_paired_with_each(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    near = np.clip(scans[0] + np.random.default_rng(0).normal(0, 3, scans[0].shape), 0, 255).astype(np.uint8)
    made = make([*scans, scans[0], near], np.r_[np.arange(60) // 30, 0, 0], [*split_of(60), "val", "test"])
    pairs = [[i.key for i in pair.images] for pair in kinds(audited(made))["near_duplicates_across_splits"].instances]
    assert sorted(pairs) == [["00000", "00061"], ["00060", "00061"]]


def test_unreadable_and_empty_files_are_refused_by_name_and_the_rest_is_still_looked_at(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    files = [png(scan) for scan in scans] + [b"", b"", b"no image", png(scans[0])]
    labels = np.r_[np.arange(60) // 30, 0, 0, 1, 0]
    made = make(files, labels, [*split_of(60), "train", "val", "test", "test"], spec=InputSpec(32, 32, 1))
    found = kinds(audited(made, probe=True, canary=True))
    assert [instance.tokens for instance in found["empty_file"].instances] == [("00060",), ("00061",)]
    assert [instance.images[0].key for instance in found["unreadable"].instances] == ["00062"]
    assert len(found["duplicates_across_splits"].instances) == 1
    assert {found[kind].severity for kind in ("empty_file", "unreadable")} == {"refuse"}
