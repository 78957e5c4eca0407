from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from medexp.errors import DataError, RegistryError
from medexp.registry.bundle import FORMAT, PASSPORT, Bundle, Passport, read_passport, sha256, write_passport
from medexp.registry.engine import LiteRtEngine
from medexp.types import InputSpec

INPUT = InputSpec(height=4, width=4, channels=1)


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LiteRT graph whose second probability is the mean pixel over 255."""
    image = keras.Input(INPUT.shape)
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Concatenate()([1.0 - mean, mean]))
    path = tmp_path_factory.mktemp("graph") / "model.tflite"
    model.export(str(path), format="litert", verbose=False)
    return path


@pytest.fixture
def folder(graph: Path, tmp_path: Path) -> Path:
    """A good bundle."""
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "model.tflite").write_bytes(graph.read_bytes())
    (path / "model.keras").write_bytes(b"weights")
    passport = Passport(
        format=FORMAT,
        run_id="r",
        model="mean",
        created="2026-01-01T00:00:00+00:00",
        task="binary",
        class_names=("dark", "bright"),
        positive="bright",
        thresholds={"bright": 0.25},
        input=INPUT,
        preprocessing=INPUT.digest,
        metrics={"test_auc": 1.0},
        data={"name": "d"},
        engine={"kind": "litert", "file": "model.tflite", "difference": 0.0},
        versions={"medexp": "0"},
        files={name: sha256(path / name) for name in ("model.keras", "model.tflite")},
    )
    write_passport(path, passport)
    return path


def edit(folder: Path, **changes: object) -> None:
    raw = json.loads((folder / PASSPORT).read_text())
    (folder / PASSPORT).write_text(json.dumps({**raw, **changes}))


def png(value: int, side: int = 4) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((side, side), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_passport_comes_back_as_it_was_written(folder: Path) -> None:
    passport = read_passport(folder)
    changed = replace(passport, run_id="other", thresholds={"bright": 0.1 + 0.2})
    write_passport(folder, changed)
    assert read_passport(folder) == changed


def test_an_image_is_classified_with_the_probability_of_each_class(folder: Path) -> None:
    answer = Bundle.open(folder).classify(png(204))
    assert answer.label == "bright"
    assert dict(answer.probabilities) == pytest.approx({"dark": 0.2, "bright": 0.8})


@pytest.mark.parametrize(("threshold", "label"), [(0.25, "bright"), (0.45, "dark"), (None, "dark")])
def test_the_threshold_of_the_passport_decides(threshold: float | None, label: str, folder: Path) -> None:
    edit(folder, thresholds={} if threshold is None else {"bright": threshold})
    assert Bundle.open(folder).classify(png(102)).label == label


FINDINGS = {"task": "multilabel", "positive": None}


@pytest.mark.parametrize(
    ("dark", "bright", "labels"),
    [(0.1, 0.1, ("dark", "bright")), (0.7, 0.1, ("bright",)), (0.1, 0.7, ("dark",)), (0.7, 0.7, ())],
)
def test_each_finding_is_decided_by_its_own_threshold(
    dark: float, bright: float, labels: tuple[str, ...], folder: Path
) -> None:
    edit(folder, **FINDINGS, thresholds={"dark": dark, "bright": bright})
    answer = Bundle.open(folder).classify(png(102))
    assert answer.labels == labels
    assert answer.label is None
    assert dict(answer.probabilities) == pytest.approx({"dark": 0.6, "bright": 0.4})


@pytest.mark.parametrize(("value", "grade"), [(102, "dark"), (204, "bright")])
@pytest.mark.parametrize("task", ["ordinal", "multiclass"])
def test_the_most_probable_grade_or_class_is_the_answer(task: str, value: int, grade: str, folder: Path) -> None:
    edit(folder, task=task, positive=None, thresholds={})
    answer = Bundle.open(folder).classify(png(value))
    assert (answer.label, answer.labels) == (grade, (grade,))


@pytest.mark.parametrize(
    "change",
    [
        {**FINDINGS, "thresholds": {"dark": 0.5}},
        {**FINDINGS, "thresholds": {"dark": 0.5, "bright": 0.5, "grey": 0.5}},
        {"thresholds": {"dark": 0.5}},
        {"task": "ordinal", "positive": None},
    ],
)
def test_thresholds_that_do_not_fit_the_task_are_refused(change: dict[str, Any], folder: Path) -> None:
    edit(folder, **change)
    with pytest.raises(RegistryError, match=r"thresholds do not fit its task. Received: .*dark, bright\."):
        Bundle.open(folder)


def test_a_probability_equal_to_the_threshold_is_positive(folder: Path) -> None:
    probability = Bundle.open(folder).classify(png(102)).probabilities["bright"]
    edit(folder, thresholds={"bright": probability})
    assert Bundle.open(folder).classify(png(102)).label == "bright"
    edit(folder, **FINDINGS, thresholds={"dark": 0.9, "bright": probability})
    assert Bundle.open(folder).classify(png(102)).labels == ("bright",)


def test_an_image_of_another_size_is_prepared_as_in_training(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert bundle.read(png(50, side=9)).tolist() == np.full(INPUT.shape, 50).tolist()


def test_what_is_no_image_is_a_data_error_by_name(folder: Path) -> None:
    with pytest.raises(DataError, match=r"chest\.png"):
        Bundle.open(folder).classify(b"text", name="chest.png")


def test_the_limit_of_pixels_is_handed_on(folder: Path) -> None:
    with pytest.raises(DataError, match="too many pixels"):
        Bundle.open(folder).classify(png(0), max_pixels=15)


@pytest.mark.parametrize("sizes", [(1, 5, 2, 1)])
def test_a_batch_may_have_any_size(sizes: tuple[int, ...], folder: Path) -> None:
    bundle = Bundle.open(folder)
    for size in sizes:
        batch = np.arange(size * 16, dtype=np.uint8).reshape(size, 4, 4, 1)
        found = bundle.probabilities(batch)
        assert found.dtype == np.float32
        assert found[:, 1] == pytest.approx(batch.mean(axis=(1, 2, 3)) / 255, abs=1e-6)


@pytest.mark.parametrize("name", ["model.tflite", "model.keras"])
def test_a_changed_byte_is_refused(name: str, folder: Path) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    found = sha256(folder / name)
    with pytest.raises(RegistryError, match=rf"changed after it was written.*{name} with SHA-256 {found}"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["model.tflite", "model.keras"])
def test_a_missing_file_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(RegistryError, match=rf"{name} with SHA-256 no such file"):
        Bundle.open(folder)


def test_an_engine_without_a_checksum_is_refused(folder: Path) -> None:
    edit(folder, files={"model.keras": sha256(folder / "model.keras")})
    with pytest.raises(RegistryError, match="holds no checksum"):
        Bundle.open(folder)


@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1])
def test_another_format_is_refused(other: int, folder: Path) -> None:
    edit(folder, format=other)
    with pytest.raises(RegistryError, match=f"reads bundles of format {FORMAT}. Received: format {other}"):
        Bundle.open(folder)


def test_pixels_prepared_in_another_way_are_refused(folder: Path) -> None:
    edit(folder, preprocessing="0123456789abcdef")
    with pytest.raises(RegistryError, match=f"prepared in another way.*0123456789abcdef.*{INPUT.digest}"):
        Bundle.open(folder)


def test_an_input_that_the_digest_does_not_name_is_refused(folder: Path) -> None:
    edit(folder, input={**asdict(INPUT), "fit": "stretch"})
    with pytest.raises(RegistryError, match="prepared in another way"):
        Bundle.open(folder)


def test_a_folder_without_a_passport_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=f"no bundle here. Received: {tmp_path}, which holds no {PASSPORT}"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20], "The passport is damaged"),
        (lambda text: "", "The passport is damaged"),
        (lambda text: "\x00\x01", "The passport is damaged"),
        (lambda text: "[]", "format"),
        (lambda text: "null", "format"),
        (lambda text: "{}", "format None"),
        (lambda text: text.replace('"thresholds"', '"tresholds"'), "The passport is not one.*threshold"),
        (lambda text: text.replace('"height"', '"hight"'), r"The passport is not one.*input.height"),
        (lambda text: text.replace('"class_names"', '"names"'), "The passport is not one.*class_names"),
    ],
)
def test_a_damaged_passport_is_refused_with_the_reason(
    damage: Callable[[str], str], message: str, folder: Path
) -> None:
    (folder / PASSPORT).write_text(damage((folder / PASSPORT).read_text()))
    with pytest.raises(RegistryError, match=message):
        Bundle.open(folder)


def test_a_passport_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / PASSPORT).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(RegistryError, match="The passport is damaged"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "change", [{"files": ["model.tflite"]}, {"files": None}, {"engine": "model.tflite"}, {"engine": {}}]
)
def test_a_passport_with_a_value_of_another_type_is_refused(change: dict[str, Any], folder: Path) -> None:
    edit(folder, **change)
    with pytest.raises(RegistryError):
        Bundle.open(folder)


def test_a_file_instead_of_a_folder_is_no_bundle(folder: Path) -> None:
    with pytest.raises(RegistryError):
        Bundle.open(folder / "model.keras")


def test_a_graph_that_litert_cannot_run_is_refused(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"not a graph at all")
    with pytest.raises(RegistryError, match="LiteRT cannot run this graph"):
        LiteRtEngine(folder / "model.tflite")
