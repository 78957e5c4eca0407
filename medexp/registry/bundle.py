"""The bundle: a folder with all that serving needs, and the passport that says what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from medexp.errors import RegistryError
from medexp.imaging.limits import MAX_PIXELS
from medexp.imaging.read import read
from medexp.registry.engine import LiteRtEngine
from medexp.types import InputSpec, Task

FORMAT = 2
PASSPORT = "passport.json"


@dataclass(frozen=True)
class Passport:
    """What a model is, as `passport.json` holds it.

    `thresholds` are by class name, chosen on validation: binary, of the positive class (empty: the most probable class
    is the answer); multi-label, of every class; empty for the other tasks. `engine` names the exported graph and its
    largest difference in probability to Keras. `files` is the SHA-256 of every other file of the bundle.
    """

    format: int
    run_id: str
    model: str
    created: str
    task: Task
    class_names: tuple[str, ...]
    positive: str | None
    thresholds: Mapping[str, float]
    input: InputSpec
    preprocessing: str
    metrics: Mapping[str, float]
    data: Mapping[str, Any]
    engine: Mapping[str, Any]
    versions: Mapping[str, str]
    files: Mapping[str, str]


@dataclass(frozen=True)
class Classification:
    """One answer.

    Args:
        labels: the classes found: one, or any number for multi-label, in the passport's order.
        probabilities: of each class, in the passport's order.
        single: whether there is always one class.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    single: bool = True

    @property
    def label(self) -> str | None:
        """The class; None for multi-label, however many were found."""
        return self.labels[0] if self.single else None


class Bundle:
    """A verified bundle, ready to classify.

    Example:
        bundle = Bundle.open(Path("outputs/runs/<run id>/bundle"))
        bundle.classify(Path("chest.png").read_bytes()).label
    """

    def __init__(self, path: Path, passport: Passport, *, threads: int = 0) -> None:
        self.path = path
        self.passport = passport
        self._engine = LiteRtEngine(path / str(passport.engine["file"]), threads=threads)

    @classmethod
    def open(cls, path: Path, *, threads: int = 0) -> Bundle:
        """Read and verify the bundle in folder `path`; `threads` compute one answer (0: the engine decides).

        Raises:
            RegistryError: no bundle, a newer format, a changed or missing file, or pixels prepared in
                another way than this version of medexp prepares them.
        """
        passport = read_passport(path)
        for name, digest in passport.files.items():
            found = sha256(path / name) if (path / name).is_file() else "no such file"
            if found != digest:
                raise RegistryError(
                    f"The bundle was changed after it was written. Received: {path / name} with SHA-256 {found}, "
                    f"the passport says {digest}. Fetch it again from the registry, or train anew."
                )
        if passport.engine.get("file") not in passport.files:
            raise RegistryError(f"The passport names an engine it holds no checksum of. Received: {passport.engine}.")
        if passport.preprocessing != passport.input.digest:
            raise RegistryError(
                f"The model was trained on pixels prepared in another way. Received: preprocessing "
                f"{passport.preprocessing}, this version of medexp has {passport.input.digest}. Train it anew."
            )
        return cls(path, passport, threads=threads)

    def read(self, data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Return an encoded image as the network sees it (or DataError).

        Of type `passport.input.dtype` and shape `passport.input.shape`: the same pixels as in training.
        """
        return read(data, self.passport.input, name=name, max_pixels=max_pixels).pixels

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        """Return `float32` probabilities, shape (batch, classes), for prepared pixels (batch, *input.shape)."""
        return self._engine(batch)

    def classify(self, data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> Classification:
        """Classify one encoded image.

        Binary by the stored threshold; multi-label by that of each class; else the most probable class.
        """
        row = self.probabilities(self.read(data, name=name, max_pixels=max_pixels)[np.newaxis])[0]
        names, thresholds = self.passport.class_names, self.passport.thresholds
        probabilities = {name: float(p) for name, p in zip(names, row, strict=True)}
        if self.passport.task == "multilabel":
            found = tuple(name for name, p in probabilities.items() if p >= thresholds[name])
            return Classification(found, probabilities, single=False)
        if self.passport.positive in thresholds:
            best = int(probabilities[names[1]] >= thresholds[names[1]])
        else:
            best = int(row.argmax())
        return Classification((names[best],), probabilities)


def read_passport(path: Path) -> Passport:
    """Read `passport.json` in folder `path`, without checking the other files (or RegistryError)."""
    try:
        raw = json.loads((path / PASSPORT).read_text())
    except OSError:
        raise RegistryError(f"There is no bundle here. Received: {path}, which holds no {PASSPORT}.") from None
    except ValueError as error:
        raise RegistryError(f"The passport is damaged. Received: {path / PASSPORT} ({error}).") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else raw
        raise RegistryError(
            f"This version of medexp reads bundles of format {FORMAT}. Received: format {found!r} in {path}. "
            "Use the version of medexp that wrote it, or train anew."
        )
    try:
        passport = TypeAdapter(Passport).validate_python(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RegistryError(f"The passport is not one. Received: {path / PASSPORT} ({wrong}).") from error
    _require_thresholds(passport, path)
    return passport


def _require_thresholds(passport: Passport, path: Path) -> None:
    """Every class of a multi-label task has a threshold, no class has one that would not be used."""
    named, classes = set(passport.thresholds), set(passport.class_names)
    used = classes if passport.task == "multilabel" else {passport.positive} if passport.task == "binary" else set()
    if named - used or (passport.task == "multilabel" and named != classes):
        raise RegistryError(
            f"The passport's thresholds do not fit its task. Received: {path / PASSPORT} with thresholds of "
            f"{', '.join(sorted(named)) or 'no class'}, task {passport.task} of {', '.join(passport.class_names)}."
        )


def write_passport(path: Path, passport: Passport) -> None:
    """Write `passport.json` into folder `path`."""
    (path / PASSPORT).write_text(json.dumps(asdict(passport), indent=2) + "\n")


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
