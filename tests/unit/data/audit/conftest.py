"""Data sets for the audit: real ones in memory, and any that a test makes of arrays."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medexp.data.dataset import Dataset, Facts
from medexp.data.phantom import PhantomSource
from medexp.imaging.prepare import prepare
from medexp.types import InputSpec

ROOT = Path(__file__).resolve().parents[4]
Build = Callable[..., Dataset]


class Memory:
    """Prepared images in an array."""

    def __init__(self, pixels: np.ndarray, spec: InputSpec) -> None:
        self.pixels, self.spec = pixels, spec

    @property
    def input(self) -> InputSpec:
        return self.spec

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels[rows].copy()


class Loaded:
    """The images before preparation."""

    def __init__(self, images: Sequence[np.ndarray | bytes]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def name(self, i: int) -> str:
        return str(i)

    def stamp(self, i: int) -> str | None:
        return None

    def load(self, i: int) -> Any:
        return self.images[i]


def build(
    images: Sequence[np.ndarray | bytes],
    labels: np.ndarray,
    splits: Sequence[str],
    *,
    classes: Sequence[str] = ("well", "ill"),
    task: str = "binary",
    groups: Sequence[str] | None = None,
    metadata: Mapping[str, Sequence[str]] | None = None,
    hidden: Mapping[str, Sequence[str]] | None = None,
    keys: Sequence[str] | None = None,
    spec: InputSpec | None = None,
) -> Dataset:
    """Prepare and describe images (arrays, or the bytes of a file) as medexp's own reader does."""
    prepared, facts = [], []
    first = next(image for image in images if isinstance(image, np.ndarray) or image)
    decoded = first if isinstance(first, np.ndarray) else np.asarray(Image.open(io.BytesIO(first)).convert("RGB"))
    spec = spec or InputSpec(decoded.shape[0], decoded.shape[1], 1 if decoded.ndim == 2 else 3)
    for image in images:
        if isinstance(image, np.ndarray):
            content = hashlib.sha256(f"{image.dtype.str}{image.shape}".encode() + image.tobytes()).hexdigest()
            pixels, how, mode, size = image, "ARRAY", "L" if image.ndim == 2 else "RGB", image.nbytes
            error = ""
        else:
            content, size, how, mode, error = hashlib.sha256(image).hexdigest(), len(image), "", "", ""
            try:
                with Image.open(io.BytesIO(image)) as opened:
                    how, mode = str(opened.format), opened.mode
                    pixels = np.asarray(opened.convert("L" if spec.channels == 1 else "RGB"))
            except OSError:
                pixels = np.zeros((1, 1), np.uint8)
                error = "Not a readable image." if image else "The file is empty."
        ready = prepare(pixels, spec)
        prepared.append(ready)
        digest = "" if error else hashlib.sha256(ready.tobytes()).hexdigest()
        shape = (0, 0) if error else pixels.shape[:2]
        facts.append((content, digest, how, mode, shape[1], shape[0], 8 * pixels.itemsize, size, error))
    columns = [np.array(column) for column in zip(*facts, strict=True)]
    return Dataset(
        name="made",
        task=task,  # type: ignore[arg-type]
        class_names=tuple(classes),
        keys=tuple(keys or (f"{i:05d}" for i in range(len(images)))),
        labels=np.asarray(labels),
        groups=None if groups is None else tuple(groups),
        splits=np.array(splits),
        own_split=False,
        metadata={name: tuple(values) for name, values in (metadata or {}).items()},
        pixels=Memory(np.stack(prepared), spec),
        facts=Facts(*columns),
        images=Loaded(images),
        hidden={name: tuple(values) for name, values in (hidden or {}).items()},
    )


@pytest.fixture(scope="session")
def make() -> Build:
    return build


def shared(name: str) -> Path:
    for folder in (os.environ.get("MEDEXP_DATA_DIR"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
    pytest.skip(f"no real images: {name} is neither in $MEDEXP_DATA_DIR nor in ../shared/data")


def medmnist_set(name: str, classes: Sequence[str]) -> Dataset:
    with np.load(shared(f"medmnist/{name}.npz")) as file:
        splits = [split for split in ("train", "val", "test") for _ in file[f"{split}_images"]]
        images = [image for split in ("train", "val", "test") for image in file[f"{split}_images"]]
        labels = np.concatenate([file[f"{split}_labels"][:, 0] for split in ("train", "val", "test")]).astype(int)
    return build(images, labels, splits, classes=classes)


@pytest.fixture(scope="session")
def pneumonia() -> Dataset:
    return medmnist_set("pneumoniamnist", ("normal", "pneumonia"))


@pytest.fixture(scope="session")
def breast() -> Dataset:
    """The disease is class 0 of the file; here, as in a binary task, it is class 1."""
    found = medmnist_set("breastmnist", ("normal or benign", "malignant"))
    return Dataset(**{**vars(found), "labels": 1 - found.labels})


@pytest.fixture(scope="session")
def red_cells() -> Callable[..., Dataset]:
    """Builds the set with the splits that a function gives for the smears; every `step`-th image."""
    import csv

    folder = shared("red_cells")
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: row["image"])
    classes = sorted({row["label"] for row in rows})

    def of(splits: Callable[[list[str]], list[str]], *, step: int = 1, grouped: bool, column: bool = False) -> Dataset:
        chosen = rows[::step]
        smears = [row["smear_id"] for row in chosen]
        return build(
            [(folder / row["image"]).read_bytes() for row in chosen],
            np.array([classes.index(row["label"]) for row in chosen]),
            splits(smears),
            classes=classes,
            task="multiclass",
            groups=smears if grouped else None,
            metadata={"smear_id": smears} if column else None,
            keys=[row["image"] for row in chosen],
        )

    return of


def by_group(groups: Sequence[str], *, seed: int = 0) -> list[str]:
    """70, 15 and 15 % of the groups."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    place = {names[i]: rank / len(names) for rank, i in enumerate(order)}
    return ["train" if place[g] < 0.7 else "val" if place[g] < 0.85 else "test" for g in groups]


def ignoring_groups(groups: Sequence[str]) -> list[str]:
    """70, 15 and 15 % of the images."""
    places = np.random.default_rng(0).random(len(groups))
    return ["train" if place < 0.7 else "val" if place < 0.85 else "test" for place in places]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The phantom as `data=phantom` makes it: 600 patients."""
    folder = str(tmp_path_factory.mktemp("phantom"))
    source = PhantomSource(folder=folder, patients=600, size=64, contrast=1.5, seed=0)
    source.prepare()
    examples = source.examples()
    assert examples.groups is not None
    return build(
        [examples.images.load(i) for i in range(len(examples.keys))],
        examples.labels,
        by_group(examples.groups),
        classes=examples.class_names,
        groups=examples.groups,
        metadata=examples.metadata,
        keys=examples.keys,
        spec=InputSpec(64, 64, 1),
    )


def look(dataset: Dataset, **options: Any) -> Any:
    """Audit without the slow parts, unless asked for."""
    from medexp.data.audit.run import audit

    return audit(dataset, **{"probe": False, "canary": False, "min_per_class": 10, "seed": 0, "accept": [], **options})


@pytest.fixture(scope="session")
def audited() -> Callable[..., Any]:
    return look


@pytest.fixture(scope="session")
def deal() -> Callable[..., list[str]]:
    """Deals by group, or regardless of them: `deal(groups)`, `deal(groups, grouped=False)`."""
    return lambda groups, grouped=True: by_group(groups) if grouped else ignoring_groups(groups)


@pytest.fixture
def scans() -> np.ndarray:
    """60 images that have nothing in common, uint8 (60, 32, 32)."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(1).standard_normal((60, 32, 32)), (0, 1.5, 1.5))
    return np.clip(128 + 220 * noise, 0, 255).astype(np.uint8)
