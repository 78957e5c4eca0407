from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import INPUT, edit, export_tiny, limits, reseal, spec, with_thresholds

from medexp.errors import RegistryError
from medexp.registry.bundle import Bundle
from medexp.registry.checksum import checksums, sha256
from medexp.registry.engine.base import MissingRuntimeError
from medexp.registry.engine.litert import LiteRtEngine
from medexp.registry.golden import Golden
from medexp.registry.passport import FORMAT, PASSPORT, EngineRecord, read_passport
from medexp.types import Task


def every_file(folder: Path) -> list[str]:
    return sorted([*checksums(folder)])


def test_a_changed_byte_of_any_file_is_refused(folder: Path) -> None:
    assert {"model.keras", "golden.npz", "feature_space.npz", "model.tflite", "model.xml", "model.bin"} < set(
        every_file(folder)
    )
    for name in every_file(folder):
        before = (folder / name).read_bytes()
        content = bytearray(before)
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(RegistryError, match=r"was changed after it was written|is damaged|is not one|format"):
            Bundle.open(folder)
        (folder / name).write_bytes(before)
    Bundle.open(folder).verify()


def test_a_changed_file_is_named_with_both_checksums(folder: Path) -> None:
    wanted = sha256(folder / "model.keras")
    (folder / "model.keras").write_bytes(b"other weights")
    found = sha256(folder / "model.keras")
    with pytest.raises(RegistryError, match=rf"model.keras with SHA-256 {found}, the passport says {wanted}"):
        Bundle.open(folder)


def test_a_changed_threshold_in_the_passport_is_refused(folder: Path) -> None:
    raw = json.loads((folder / PASSPORT).read_text())
    raw["operating_point"]["thresholds"]["nodule"] = 0.9
    (folder / PASSPORT).write_text(json.dumps(raw))
    with pytest.raises(RegistryError, match="The passport was changed after it was written"):
        Bundle.open(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "model.bin").unlink()
    with pytest.raises(RegistryError, match=r"model.bin with SHA-256 no such file"):
        Bundle.open(folder)


def test_another_format_is_refused_with_what_to_do(folder: Path) -> None:
    for other, remedy in ((FORMAT - 1, "train anew"), (FORMAT + 1, "the newer format .* Upgrade medexp")):
        edit(folder, format=other)
        with pytest.raises(RegistryError, match=rf"reads bundles of format {FORMAT}. Received: .*{other}.*"):
            Bundle.open(folder)
        with pytest.raises(RegistryError, match=remedy):
            Bundle.open(folder)


def test_pixels_prepared_in_another_way_are_refused(folder: Path) -> None:
    edit(folder, preprocessing="0123456789abcdef")
    with pytest.raises(RegistryError, match=f"prepared in another way.*0123456789abcdef.*{INPUT.digest}"):
        Bundle.open(folder)


def test_an_input_that_the_digest_does_not_name_is_refused(folder: Path) -> None:
    edit(folder, input={**asdict(INPUT), "fit": "stretch"})
    with pytest.raises(RegistryError, match="prepared in another way"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operating_point": with_thresholds({"clear": 0.5})}, "thresholds do not fit its task"),
        ({"operating_point": with_thresholds({"nodule": float("inf")})}, "thresholds are no probabilities.*nodule inf"),
        ({"operating_point": with_thresholds({"nodule": float("nan")})}, "thresholds are no probabilities.*nodule nan"),
        ({"task": "ordinal", "positive": None}, "thresholds do not fit its task"),
        ({"task": "multilabel", "positive": None}, "thresholds do not fit its task"),
        ({"conformal": replace(limits(spec()), limits={"clear": 0.1})}, "conformal limits do not fit its classes"),
        ({"engines": (EngineRecord("litert", agrees=True, file="other.tflite"),)}, "holds no checksum of"),
        ({"engines": (EngineRecord("litert", agrees=False, why_not="x"),)}, "names no engine that may answer"),
        ({"files": {"model.tflite": "", "../secret": ""}, "engines": ()}, "no engine that may answer"),
    ],
)
def test_a_passport_that_contradicts_itself_is_refused(change: dict[str, Any], message: str, folder: Path) -> None:
    reseal(folder, **change)
    with pytest.raises(RegistryError, match=message):
        Bundle.open(folder)


def test_a_passport_that_names_files_outside_its_folder_is_refused(folder: Path) -> None:
    passport = read_passport(folder)
    (folder.parent / "secret").write_text("x")
    reseal(folder, files={**passport.files, "../secret": sha256(folder.parent / "secret")})
    with pytest.raises(RegistryError, match=r"files outside its folder.*\.\./secret"):
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
        (lambda text: text.replace('"aim"', '"aims"'), "changed after it was written"),
        (lambda text: text.replace('"sha256"', '"sha"'), "changed after it was written"),
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
    ("change", "where"),
    [
        ({"files": ["model.tflite"]}, "files"),
        ({"files": None}, "files"),
        ({"engines": {}}, "engines"),
        ({"operating_point": None}, "operating_point"),
        ({"input": {"hight": 3}}, "input.height"),
        ({"conformal": {"coverage": 0.9}}, "conformal.limits"),
    ],
)
def test_a_passport_with_a_value_of_another_type_says_which(change: dict[str, Any], where: str, folder: Path) -> None:
    edit(folder, **change)
    with pytest.raises(RegistryError, match=rf"The passport is not one.*{where}"):
        Bundle.open(folder)


def test_a_file_instead_of_a_folder_is_no_bundle(folder: Path) -> None:
    with pytest.raises(RegistryError):
        Bundle.open(folder / "model.keras")


def replaced(folder: Path, name: str, content: bytes) -> None:
    """Replace a file, and have the passport say so: what an honest program of another version may do."""
    (folder / name).write_bytes(content)
    reseal(folder, files={**read_passport(folder).files, name: sha256(folder / name)})


def test_a_feature_space_that_cannot_be_read_is_refused(folder: Path) -> None:
    replaced(folder, "feature_space.npz", b"nothing")
    with pytest.raises(RegistryError, match=r"feature space cannot be read.*feature_space\.npz"):
        Bundle.open(folder)


def test_golden_images_that_cannot_be_read_are_refused(folder: Path) -> None:
    replaced(folder, "golden.npz", b"nothing")
    with pytest.raises(RegistryError, match=r"golden images cannot be read.*golden\.npz"):
        Bundle.open(folder).verify()


def test_a_graph_of_other_weights_is_found_by_the_golden_images(folder: Path, tmp_path: Path) -> None:
    other = export_tiny(tmp_path / "other" / "bundle", seed=7)
    replaced(folder, "model.tflite", (other.path / "model.tflite").read_bytes())
    bundle = Bundle.open(folder, engine="litert")
    with pytest.raises(RegistryError, match=r"does not answer here as it did.*litert.*in probability"):
        bundle.verify()
    Bundle.open(folder, engine="onnx").verify()


def test_a_graph_of_other_outputs_is_found_by_the_golden_images(folder: Path, exported: dict[Task, Path]) -> None:
    replaced(folder, "model.tflite", (exported["ordinal"] / "model.tflite").read_bytes())
    with pytest.raises(RegistryError, match=r"does not answer as its passport says.*\(1, 3\)|shape \(3, 3\)"):
        Bundle.open(folder, engine="litert").verify()


def test_a_way_of_resizing_that_changed_is_found_by_the_chart(folder: Path) -> None:
    golden = Golden.read(folder)
    pixels = golden.pixels.copy()
    pixels[-1] = np.roll(pixels[-1], 1, axis=0)
    replace(golden, pixels=pixels).write(folder)
    reseal(folder, files={**read_passport(folder).files, "golden.npz": sha256(folder / "golden.npz")})
    with pytest.raises(RegistryError, match=r"not prepared here as they were for training.*test chart differs"):
        Bundle.open(folder).verify()


@pytest.mark.parametrize(
    ("kind", "file"), [("litert", "model.tflite"), ("openvino", "model.xml"), ("onnx", "model.onnx")]
)
def test_a_graph_that_its_runtime_cannot_run_is_refused(kind: str, file: str, folder: Path) -> None:
    replaced(folder, file, b"not a graph at all")
    with pytest.raises(RegistryError, match="cannot run this graph"):
        Bundle.open(folder, engine=kind)


def test_a_missing_runtime_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingRuntimeError, match=r"engine litert\. Install it: pip install ai-edge-litert"):
        LiteRtEngine(folder / "model.tflite")


@pytest.mark.parametrize("name", ["feature_space.npz", "golden.npz", "model.bin"])
def test_a_file_that_the_passport_has_no_checksum_of_is_refused(name: str, folder: Path) -> None:
    reseal(folder, files={key: value for key, value in read_passport(folder).files.items() if key != name})
    with pytest.raises(RegistryError, match=f"no checksum of files that it needs.*{name}"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["feature_space.npz", "golden.npz"])
def test_an_archive_that_ends_early_is_refused(name: str, folder: Path) -> None:
    replaced(folder, name, (folder / name).read_bytes()[:-200])
    with pytest.raises(RegistryError, match="cannot be read"):
        Bundle.open(folder).verify()


def test_golden_images_of_another_size_are_refused(folder: Path) -> None:
    golden = Golden.read(folder)
    replace(golden, pixels=golden.pixels[:, :4]).write(folder)
    reseal(folder, files={**read_passport(folder).files, "golden.npz": sha256(folder / "golden.npz")})
    with pytest.raises(RegistryError, match="not of the network's size"):
        Bundle.open(folder).verify()


def test_a_bundle_without_golden_images_is_refused(folder: Path) -> None:
    golden = Golden.read(folder)
    only_chart = {name: getattr(golden, name)[-1:] for name in ("pixels", "probabilities", "features")}
    replace(golden, **only_chart).write(folder)
    reseal(folder, files={**read_passport(folder).files, "golden.npz": sha256(folder / "golden.npz")})
    with pytest.raises(RegistryError, match="no golden images beside the test chart"):
        Bundle.open(folder).verify()


@pytest.mark.parametrize("field", ["probabilities", "features"])
def test_an_answer_to_the_chart_is_not_compared_and_each_other_is(field: str, folder: Path) -> None:
    """A network that was hardly trained amplifies the rounding of what is unlike any image."""
    golden = Golden.read(folder)
    for row, refused in ((-1, False), (0, True)):
        changed = getattr(golden, field).copy()
        changed[row] += 0.01 * abs(changed).max()
        replace(golden, **{field: changed}).write(folder)
        reseal(folder, files={**read_passport(folder).files, "golden.npz": sha256(folder / "golden.npz")})
        with pytest.raises(RegistryError, match="does not answer here as it did") if refused else nullcontext():
            Bundle.open(folder).verify()
