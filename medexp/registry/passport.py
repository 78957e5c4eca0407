"""`passport.json`: what a model is, how its answers are read, and the checksum of every file beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from medexp.decision.conformal import Conformal
from medexp.decision.operating_point import OperatingPoint
from medexp.errors import RegistryError
from medexp.types import Calibration, Estimate, InputSpec, Task

FORMAT = 3
PASSPORT = "passport.json"
_SEAL = "sha256"


@dataclass(frozen=True)
class EngineRecord:
    """One exported graph, as it was measured on the machine that exported it.

    Args:
        kind: `litert`, `openvino`, `onnx` or `saved_model`.
        agrees: whether it may answer in place of Keras.
        why_not: where it may not.
        file: in the bundle, a folder for `saved_model`; None where it does not agree: it is not shipped.
        size: bytes; None likewise.
        images: that it was checked on.
        difference: largest difference in probability to Keras, over single images and a batch of all.
        batch_difference: largest difference in probability between an image alone and the same in a batch.
        flips: images (multi-label: findings) whose decision at the operating point is not that of Keras.
        milliseconds: median of a batch of `1` and of `8`; None where it does not agree.
    """

    kind: str
    agrees: bool
    why_not: str | None = None
    file: str | None = None
    size: int | None = None
    images: int = 0
    difference: float | None = None
    batch_difference: float | None = None
    flips: int | None = None
    milliseconds: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Strangeness:
    """From where on an image is refused as strange: what `feature_space.npz` holds beside its directions."""

    threshold: float
    false_refusal: float


@dataclass(frozen=True)
class Passport:
    """What a model is, as `passport.json` holds it.

    Args:
        format: of the bundle.
        run_id: of the training.
        model: the network's name.
        created: ISO 8601, UTC.
        task: what kind of labels.
        class_names: in the order of probabilities.
        positive: the class that a binary task is about.
        input: the pixels that the network sees.
        preprocessing: digest of how they are prepared.
        calibration: that is inside the graphs, for people.
        operating_point: thresholds for probabilities of the graphs, chosen on validation.
        conformal: limits of the classes that cannot be ruled out.
        strangeness: from where on an image is refused.
        metrics: on the test split, with intervals, by name without the split.
        data: name, digest, split, source, counts, synthetic: of what it was trained on.
        facts: `commit`, `dirty`, `intended_use`, `not_for` ...; None where nobody has said it.
        engines: all that were tried. First the one that answers, then the others that agree, fastest first; of them
            last the one that needs TensorFlow.
        versions: of the packages that made it.
        files: SHA-256 of every other file of the bundle, by its path in it.
    """

    format: int
    run_id: str
    model: str
    created: str
    task: Task
    class_names: tuple[str, ...]
    positive: str | None
    input: InputSpec
    preprocessing: str
    calibration: Calibration
    operating_point: OperatingPoint
    conformal: Conformal
    strangeness: Strangeness
    metrics: Mapping[str, Estimate]
    data: Mapping[str, Any]
    facts: Mapping[str, Any]
    engines: tuple[EngineRecord, ...]
    versions: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def thresholds(self) -> Mapping[str, float]:
        """By class name: binary, of the positive class; multi-label, of every class; else empty."""
        return self.operating_point.thresholds


def write_passport(path: Path, passport: Passport) -> None:
    """Write `passport.json` into folder `path`, sealed with the SHA-256 of its own content."""
    content = asdict(passport)
    (path / PASSPORT).write_text(json.dumps({**content, _SEAL: _digest(content)}, indent=2) + "\n")


def read_passport(path: Path) -> Passport:
    """Read `passport.json` in folder `path`, without looking at the other files.

    Raises:
        RegistryError: there is none, it is of another format, changed, or contradicts itself.
    """
    try:
        raw = json.loads((path / PASSPORT).read_text())
    except OSError:
        raise RegistryError(f"There is no bundle here. Received: {path}, which holds no {PASSPORT}.") from None
    except ValueError as error:
        raise RegistryError(f"The passport is damaged. Received: {path / PASSPORT} ({error}).") from error
    _require_format(raw, path)
    seal = raw.pop(_SEAL, None)
    if seal != _digest(raw):
        raise RegistryError(
            f"The passport was changed after it was written. Received: {path / PASSPORT} with SHA-256 {_digest(raw)}, "
            f"it says {seal}. Fetch the bundle again from the registry, or train anew."
        )
    try:
        passport = TypeAdapter(Passport).validate_python(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RegistryError(f"The passport is not one. Received: {path / PASSPORT} ({wrong}).") from error
    _require_sense(passport, path)
    return passport


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _require_format(raw: Any, path: Path) -> None:
    found = raw.get("format") if isinstance(raw, dict) else raw
    if not isinstance(raw, dict) or found != FORMAT:
        newer = isinstance(found, int) and found > FORMAT
        remedy = "Upgrade medexp" if newer else "Use the version of medexp that wrote it, or train anew"
        raise RegistryError(
            f"This version of medexp reads bundles of format {FORMAT}. Received: {'the newer ' if newer else ''}format "
            f"{found!r} in {path}. {remedy}."
        )


def _require_sense(passport: Passport, path: Path) -> None:
    """What must fit together: thresholds and limits to the classes, engines to files, files to the folder."""
    classes = set(passport.class_names)
    multilabel = passport.task == "multilabel"
    used = classes if multilabel else {passport.positive} if passport.task == "binary" else set()
    named = set(passport.thresholds)
    where = f"Received: {path / PASSPORT}"
    if named - used or (multilabel and named != classes):
        raise RegistryError(
            f"The passport's thresholds do not fit its task. {where} with thresholds of "
            f"{', '.join(sorted(named)) or 'no class'}, task {passport.task} of {', '.join(passport.class_names)}."
        )
    if odd := [f"{name} {number:g}" for name, number in passport.thresholds.items() if not 0 <= number <= 1]:
        raise RegistryError(f"The passport's thresholds are no probabilities. {where} with {', '.join(odd)}.")
    absent = passport.conformal.absent_limits
    if set(passport.conformal.limits) != classes or (multilabel and set(absent or ()) != classes):
        raise RegistryError(
            f"The passport's conformal limits do not fit its classes. {where} with limits of "
            f"{', '.join(sorted(passport.conformal.limits)) or 'no class'}, classes {', '.join(passport.class_names)}."
        )
    for engine in passport.engines:
        listed = any(name == engine.file or name.startswith(f"{engine.file}/") for name in passport.files)
        if engine.agrees and not listed:
            raise RegistryError(f"The passport names an engine it holds no checksum of. {where}: {engine.kind}.")
    if not any(engine.agrees for engine in passport.engines):
        raise RegistryError(f"The passport names no engine that may answer. {where}.")
    if outside := [n for n in passport.files if PurePosixPath(n).is_absolute() or ".." in PurePosixPath(n).parts]:
        raise RegistryError(f"The passport names files outside its folder. {where}: {', '.join(outside)}.")
