from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medexp.data.audit.measure import measure
from medexp.data.audit.metadata import metadata_findings
from medexp.data.audit.probe import probe_findings
from medexp.data.audit.shortcuts import shortcut_findings
from medexp.types import InputSpec

SPEC = InputSpec(32, 32, 1)
LABELS = np.arange(120) % 2
SPLITS = ["train"] * 80 + ["val"] * 20 + ["test"] * 20


@pytest.fixture
def many() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (120, 32, 32), dtype=np.uint8)


def shortcuts(dataset: Any) -> dict[str, Any]:
    return {finding.kind: finding for finding in shortcut_findings(dataset, measure(dataset))}


def file(pixels: np.ndarray, kind: str = "PNG", mode: str = "L") -> bytes:
    Image.fromarray(pixels).convert(mode).save(out := io.BytesIO(), kind)
    return out.getvalue()


def test_images_that_differ_in_nothing_but_their_noise_have_no_shortcut(many: np.ndarray, make: Any) -> None:
    assert shortcuts(make(many, LABELS, SPLITS)) == {}


def test_a_class_of_larger_images_is_a_shortcut(many: np.ndarray, make: Any) -> None:
    images = [image[:30] if label else image for image, label in zip(many, LABELS, strict=True)]
    finding = shortcuts(make(images, LABELS, SPLITS, spec=SPEC))["shortcut_size"]
    assert finding.severity == "warn"
    assert {instance.tokens[0] for instance in finding.instances} == {"height", "aspect ratio"}
    assert finding.statistics["height_auc"] == 1
    assert {image.label for image in finding.instances[0].images} == {"well", "ill"}


def test_a_class_in_another_format_and_mode_is_a_shortcut(many: np.ndarray, make: Any) -> None:
    files = [
        file(image, *(("BMP", "RGB") if label else ("PNG", "L"))) for image, label in zip(many, LABELS, strict=True)
    ]
    found = shortcuts(make(files, LABELS, SPLITS, spec=SPEC))
    assert {"shortcut_format", "shortcut_mode", "shortcut_file_size"} <= found.keys()
    assert found["shortcut_format"].statistics["file format_cramers_v"] == pytest.approx(1, abs=0.01)


def test_a_class_of_deeper_images_is_a_shortcut(many: np.ndarray, make: Any) -> None:
    images = [image.astype(np.uint16) * 257 if label else image for image, label in zip(many, LABELS, strict=True)]
    assert "shortcut_bit_depth" in shortcuts(make(images, LABELS, SPLITS, spec=SPEC))


def test_brightness_is_a_shortcut_only_where_it_separates_strongly(many: np.ndarray, make: Any) -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(0, 12, 120)[:, None, None]
    weak, strong = (
        np.clip(many * 0.5 + 60 + level + step * LABELS[:, None, None], 0, 255).astype(np.uint8) for step in (8, 40)
    )
    assert "shortcut_brightness" not in shortcuts(make(weak, LABELS, SPLITS))
    assert "shortcut_brightness" in shortcuts(make(strong, LABELS, SPLITS))


def test_a_frame_around_one_class_is_a_shortcut(many: np.ndarray, make: Any) -> None:
    framed = many.copy()
    framed[LABELS == 1, :1] = framed[LABELS == 1, -1:] = 0
    found = shortcuts(make(framed, LABELS, SPLITS))
    assert {"border brightness", "border contrast"} == {i.tokens[0] for i in found["shortcut_border"].instances}


def test_one_patient_with_many_images_proves_nothing(many: np.ndarray, make: Any) -> None:
    images = [image[:30] if label else image for image, label in zip(many, LABELS, strict=True)]
    groups = [f"p{label}" for label in LABELS]
    assert shortcuts(make(images, LABELS, SPLITS, groups=groups, spec=SPEC)) == {}


@pytest.mark.parametrize("task", ["binary", "multiclass", "ordinal", "multilabel"])
def test_the_probe_finds_a_frame_in_every_kind_of_task(many: np.ndarray, make: Any, task: str) -> None:
    classes = ("a", "b") if task == "binary" else ("a", "b", "c")
    codes = np.arange(120) % len(classes)
    framed = many.copy()
    for code in range(len(classes)):
        framed[codes == code, :2] = 60 * code
    labels: np.ndarray = codes
    if task == "multilabel":
        labels = np.stack([codes == 0, codes > 0, codes == 2], axis=1).astype(int)
    dataset = make(framed, labels, SPLITS, classes=classes, task=task)
    (finding,) = probe_findings(dataset, measure(dataset), seed=0)
    assert finding.severity == "warn"
    assert 0.95 < finding.statistics["low"] <= finding.statistics["auc"] <= 1


def test_the_probe_only_notes_what_noise_gives(many: np.ndarray, make: Any) -> None:
    dataset = make(many, LABELS, SPLITS)
    (finding,) = probe_findings(dataset, measure(dataset), seed=0)
    assert finding.severity == "note"
    assert finding.statistics["low"] < 0.5 < finding.statistics["high"] + 0.1


def test_the_probe_does_not_recognise_patients(many: np.ndarray, make: Any) -> None:
    """Each of 15 patients has a brightness of its own and one class: remembering patients would give it away."""
    rng = np.random.default_rng(0)
    patient = np.arange(120) // 8
    level = rng.permutation(np.linspace(-60, 60, 15))[patient]
    images = np.clip(0.3 * many + 90 + level[:, None, None], 0, 255).astype(np.uint8)
    labels = rng.permutation(np.arange(15) % 2)[patient]
    alone, grouped = (make(images, labels, SPLITS, groups=g) for g in (None, [f"p{p}" for p in patient]))
    auc = [probe_findings(d, measure(d), seed=0)[0].statistics["auc"] for d in (alone, grouped)]
    assert auc[0] > 0.9
    assert auc[1] < 0.75


def test_a_probe_without_anything_to_see_says_so(make: Any) -> None:
    dataset = make([np.zeros((8, 8), np.uint8)] * 120, LABELS, SPLITS)
    (finding,) = probe_findings(dataset, measure(dataset), seed=0)
    assert (finding.kind, finding.severity) == ("not_checked", "note")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([("here", "there")[label] for label in LABELS], True),
        ([str(40 + 20 * label + i % 20) for i, label in enumerate(LABELS)], True),
        (["" if label else "known" for label in LABELS], True),
        ([("here", "there")[i // 2 % 2] for i in range(120)], False),
        ([str(i * 37 % 50) for i in range(120)], False),
        (["same"] * 120, False),
        ([f"note {i}" for i in range(120)], False),
    ],
)
def test_columns_that_tell_the_class_are_found(many: np.ndarray, make: Any, values: list[str], found: bool) -> None:
    dataset = make(many, LABELS, SPLITS, metadata={"column": values})
    findings = metadata_findings(dataset, seed=0)
    assert bool(findings) == found
    if found:
        assert findings[0].severity == "warn"
        assert findings[0].instances[0].tokens == ("column",)


def test_a_column_that_only_names_groups_of_one_class_tells_nothing(many: np.ndarray, make: Any) -> None:
    """Ten hospitals, ten patients: what is known of a hospital does not carry over to another one."""
    hospital = [f"h{i // 12}" for i in range(120)]
    labels = np.arange(120) // 12 % 2
    dataset = make(many, labels, SPLITS, groups=hospital, metadata={"hospital": hospital})
    assert metadata_findings(dataset, seed=0) == []
