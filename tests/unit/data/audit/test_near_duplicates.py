from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from medexp.data.audit.images import group_codes, label_codes
from medexp.data.audit.measure import measure
from medexp.data.audit.near_duplicates import NearDuplicates, near_duplicates
from medexp.data.cache.open import PixelCache
from medexp.data.dataset import Dataset
from medexp.data.source import Files
from medexp.types import InputSpec

COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": lambda image: jpeg(image, 75),
    "strongly compressed": lambda image: jpeg(image, 40),
    "half the size and back": lambda image: again(image, 0.5),
    "enlarged and back": lambda image: again(image, 1.7),
    "brightened": lambda image: image.point([min(255, round(1.1 * v + 8)) for v in range(256)] * len(image.getbands())),
    "shifted by one": lambda image: moved(image, 1, 1),
    "shifted by two": lambda image: moved(image, 2, -2),
}


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    image.save(file := io.BytesIO(), "JPEG", quality=quality)
    return Image.open(file)


def again(image: Image.Image, factor: float) -> Image.Image:
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)


def moved(image: Image.Image, x: int, y: int) -> Image.Image:
    pixels = np.asarray(image)
    margins = [(2, 2), (2, 2)] + [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels, margins, mode="edge")
    return Image.fromarray(padded[2 - y : 2 - y + pixels.shape[0], 2 - x : 2 - x + pixels.shape[1]])


def search(dataset: Dataset, rows: np.ndarray | None = None) -> NearDuplicates:
    rows = np.arange(len(dataset.keys)) if rows is None else rows
    return near_duplicates(
        measure(dataset).grey, rows=rows, labels=label_codes(dataset), groups=group_codes(dataset), seed=0
    )


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("compressed", 0.98),
        ("strongly compressed", 0.75),
        ("half the size and back", 0.75),
        ("enlarged and back", 0.98),
        ("brightened", 0.98),
        ("shifted by one", 0.95),
        ("shifted by two", 0.95),
    ],
)
def test_made_copies_of_chest_x_rays_are_found(pneumonia: Dataset, make: Any, name: str, least: float) -> None:
    """28 pixels a side, where all images look alike: the hardest of the sets; of 100 copies among 1,600 images."""
    rows = np.unique(pneumonia.facts.content, return_index=True)[1][:1500]
    images = [np.asarray(pneumonia.images.load(int(i))) for i in rows]
    copies = [np.asarray(COPIES[name](Image.fromarray(image))) for image in images[:100]]
    labels = pneumonia.labels[rows]
    found = search(make(images + copies, np.concatenate([labels, labels[:100]]), ["train"] * 1600))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    hit = sum((i, 1500 + i) in pairs or (1500 + i, i) in pairs for i in range(100))
    assert hit >= 100 * least
    assert sum(max(pair) < 1500 for pair in pairs) <= 1


@pytest.mark.parametrize("name", COPIES)
def test_made_copies_of_coloured_cells_are_found(
    red_cells: Callable[..., Dataset], make: Any, deal: Any, name: str
) -> None:
    cells = red_cells(deal, step=16, grouped=True)
    images = [np.asarray(Image.open(io.BytesIO(cells.images.load(i)))) for i in range(len(cells.keys))]
    copies = [np.asarray(COPIES[name](Image.fromarray(image))) for image in images[:50]]
    n = len(images)
    labels = np.concatenate([cells.labels, cells.labels[:50]])
    assert cells.groups is not None
    groups = [*cells.groups, *(f"copy {i}" for i in range(50))]
    made = make(images + copies, labels, ["train"] * (n + 50), classes=cells.class_names, groups=groups)
    found = search(made)
    pairs = {frozenset(pair) for pair in zip(found.first.tolist(), found.second.tolist(), strict=True)}
    assert sum(frozenset((i, n + i)) in pairs for i in range(50)) >= 47


def test_images_of_different_phantom_patients_are_never_near(phantom: Dataset) -> None:
    found = search(phantom)
    groups = group_codes(phantom)
    assert (groups[found.first] == groups[found.second]).all()


def test_black_images_are_not_near_each_other_or_anything(scans: np.ndarray, make: Any) -> None:
    black = [np.full((32, 32), value, np.uint8) for value in (0, 1, 2, 3)]
    speck = [np.zeros((32, 32), np.uint8) for _ in range(2)]
    speck[0][3, 3] = speck[1][20, 9] = 5
    found = search(make([*scans, *black, *speck], np.arange(66) % 2, ["train"] * 66))
    assert found.flat == 6
    assert len(found.first) == 0


def test_the_padding_of_a_letterbox_makes_no_images_alike(make: Any) -> None:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(0).standard_normal((200, 12, 60)), (0, 1, 1))
    images = np.clip(128 + 150 * noise, 0, 255).astype(np.uint8)
    found = search(make(list(images), np.arange(200) % 2, ["train"] * 200, spec=InputSpec(64, 64, 1)))
    assert len(found.first) == 0
    assert found.threshold < 0.95


def test_copies_that_are_stored_on_their_side_and_turned_by_exif_are_found(
    make: Any, audited: Any, tmp_path: Path
) -> None:
    """As the real reader and cache see them: 10 of 40 upright PNGs again as JPEGs of orientation 6, in test."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(2).standard_normal((40, 40, 72)), (0, 2, 2))
    images = [Image.fromarray(image) for image in np.clip(128 + 220 * noise, 0, 255).astype(np.uint8)]
    paths = [tmp_path / f"{i:03d}.png" for i in range(40)] + [tmp_path / f"{i:03d}.jpg" for i in range(10)]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for i, image in enumerate(images):
        image.save(paths[i])
    for i, image in enumerate(images[:10]):
        image.transpose(Image.Transpose.ROTATE_90).save(paths[40 + i], quality=80, exif=exif)
    spec, files = InputSpec(64, 64, 1), Files(paths)
    assert spec.fit == "letterbox"
    prepared = PixelCache(tmp_path / "cache", max_bytes=1e9, workers=1).open(
        files, origin="here", input=spec, any_depth=False
    )
    splits = ["train"] * 30 + ["val"] * 10 + ["test"] * 10
    labels = np.r_[np.arange(40) % 2, np.arange(10) % 2]
    keys = [path.name for path in paths]
    made = make([np.zeros((64, 64), np.uint8)] * 50, labels, splits, keys=keys, spec=spec)
    report = audited(replace(made, pixels=prepared.pixels, facts=prepared.facts, images=files))
    (near,) = [finding for finding in report.findings if finding.kind == "near_duplicates_across_splits"]
    pairs = [[image.key for image in instance.images] for instance in near.instances]
    assert sorted(pairs) == [[f"{i:03d}.png", f"{i:03d}.jpg"] for i in range(10)]
    assert "shortcut_size" not in {finding.kind for finding in report.findings}


def test_the_threshold_rises_where_unrelated_images_look_alike(pneumonia: Dataset, phantom: Dataset) -> None:
    rows = np.unique(pneumonia.facts.pixels, return_index=True)[1]
    alike, unlike = search(pneumonia, rows), search(phantom)
    assert alike.threshold > 0.97
    assert unlike.threshold == 0.90
    assert alike.unrelated > unlike.unrelated


def test_a_copy_under_another_label_does_not_hide_itself_by_raising_the_threshold(scans: np.ndarray, make: Any) -> None:
    noise = np.random.default_rng(0).normal(0, 3, scans.shape)
    copies = np.clip(scans + noise, 0, 255).astype(np.uint8)
    made = make([*scans, *copies[:6]], np.concatenate([np.arange(60) % 2, 1 - np.arange(6) % 2]), ["train"] * 66)
    found = search(made)
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(i, 60 + i) for i in range(6)]


@pytest.mark.parametrize("structured", [0, 1])
def test_where_no_two_images_have_structure_there_is_nothing_to_compare(structured: int) -> None:
    grey = np.full((4, 32, 32), 100, dtype=np.float32)
    grey[:structured] = np.random.default_rng(0).normal(100, 30, (structured, 32, 32))
    rows = np.arange(4)
    found = near_duplicates(grey, rows=rows, labels=rows % 2, groups=rows, seed=0)
    assert (len(found.first), found.compared, found.flat) == (0, 0, 4 - structured)
