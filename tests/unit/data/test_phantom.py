from __future__ import annotations

import csv
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from medexp.data.phantom import PhantomSource
from medexp.data.source import Examples
from medexp.errors import DataError


def phantom(folder: Path, **changes: object) -> PhantomSource:
    return PhantomSource(**{"folder": str(folder), "patients": 8, "size": 16, "contrast": 1.5, "seed": 0, **changes})


def made(folder: Path, **changes: object) -> Examples:
    source = phantom(folder, **changes)
    source.prepare()
    return source.examples()


def pixels(examples: Examples) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(examples.images.load(i)))) for i in range(len(examples.keys))])


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """As `data=phantom` makes it."""
    return made(tmp_path_factory.mktemp("phantom"), patients=400, size=64)


def test_it_writes_png_files_and_a_manifest_with_patient_ids(tmp_path: Path) -> None:
    phantom(tmp_path).prepare()
    (manifest,) = tmp_path.glob("*/manifest.csv")
    with manifest.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["patient_id"] for row in rows} == {f"p{i:04d}" for i in range(8)}
    for row in rows:
        with Image.open(manifest.parent / row["image"]) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (16, 16))


def test_each_patient_has_two_images_of_one_class(tmp_path: Path) -> None:
    examples = made(tmp_path)
    by_patient: dict[str, list[int]] = {}
    for group, label in zip(examples.groups, examples.labels.tolist(), strict=True):
        by_patient.setdefault(group, []).append(label)
    assert sorted(by_patient.values()) == [[0, 0]] * 4 + [[1, 1]] * 4
    assert examples.class_names == ("clear", "nodule")


def test_it_says_that_it_is_synthetic(tmp_path: Path) -> None:
    assert made(tmp_path).synthetic


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path) -> None:
    once, again = (pixels(made(tmp_path / name)) for name in "ab")
    assert (once == again).all()


@pytest.mark.parametrize("change", [{"seed": 1}, {"contrast": 1.4}, {"size": 17}, {"patients": 9}])
def test_other_parameters_give_another_folder(change: dict[str, object], tmp_path: Path) -> None:
    assert made(tmp_path, **change).origin != made(tmp_path).origin


def test_another_seed_gives_other_images(tmp_path: Path) -> None:
    first, second = pixels(made(tmp_path)), pixels(made(tmp_path, seed=1))
    assert all((a != b).any() for a, b in zip(first, second, strict=True))


def test_no_two_images_are_the_same(default: Examples) -> None:
    assert len({image.tobytes() for image in pixels(default)}) == 800


def test_images_of_a_patient_look_more_alike_than_those_of_two(default: Examples) -> None:
    flat = pixels(default).reshape(800, -1).astype(float)
    flat = (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1, keepdims=True)
    likeness = flat @ flat.T / flat.shape[1]
    same = np.equal.outer(default.groups, default.groups) & ~np.eye(800, dtype=bool)
    other = np.not_equal.outer(default.groups, default.groups)
    assert likeness[same].mean() > likeness[other].mean() + 0.2


@pytest.mark.parametrize(
    "statistic",
    [
        lambda images: images.mean(axis=(1, 2)),
        lambda images: images.std(axis=(1, 2)),
        lambda images: images.min(axis=(1, 2)),
        lambda images: np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2)),
    ],
    ids=["mean", "standard deviation", "minimum", "roughness"],
)
def test_a_simple_number_of_an_image_does_not_tell_its_class(statistic: object, default: Examples) -> None:
    assert abs(roc_auc_score(default.labels, statistic(pixels(default))) - 0.5) < 0.08


def test_a_killed_generation_is_not_trusted(tmp_path: Path) -> None:
    leftover = tmp_path / ".making-killed"
    leftover.mkdir()
    (leftover / "manifest.csv").write_text("image,label,patient_id\n")
    assert len(made(tmp_path).keys) == 16


def test_a_generation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        phantom(tmp_path, contrast="high").prepare()
    assert list(tmp_path.iterdir()) == []


def test_a_finished_generation_is_not_repeated(tmp_path: Path) -> None:
    phantom(tmp_path).prepare()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    phantom(tmp_path).prepare()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_two_at_once_make_one_whole_set(tmp_path: Path) -> None:
    start = threading.Barrier(3)
    errors: list[BaseException] = []

    def generate() -> None:
        start.wait()
        try:
            phantom(tmp_path).prepare()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=generate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [path.name.startswith(".") for path in tmp_path.iterdir()] == [False]
    assert pixels(phantom(tmp_path).examples()).shape == (16, 16, 16)


@pytest.mark.parametrize("wrong", [{"patients": 1}, {"size": 0}])
def test_a_phantom_that_cannot_be_drawn_is_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"data.{next(iter(wrong))}={next(iter(wrong.values()))}"):
        PhantomSource(**{"folder": str(tmp_path), "patients": 4, "size": 32, "contrast": 1.0, "seed": 0, **wrong})
