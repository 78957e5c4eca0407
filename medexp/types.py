"""Frozen facts that rooms hand each other. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Task = Literal["binary", "multiclass", "multilabel", "ordinal"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "multilabel", "ordinal")
Split = Literal["train", "val", "test"]
Mode = Literal["max", "min"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class InputSpec:
    """The pixels a network sees, shape (height, width, channels): `uint8`, or `uint16` where `bits` is 16.

    Either way the network gets 0 to 255 (`imaging.scale`); 16 bits keep the levels between.

    Args:
        height: pixels.
        width: pixels.
        channels: 1 (grey) or 3 (RGB).
        fit: how another aspect ratio is made to fit: `letterbox` keeps it and pads with black, `crop` keeps it and
            cuts the longer side about the centre, `stretch` does not keep it.
        intensity: which stored values are black and white. `file`: as the file says it is to be shown (the VOI LUT or
            window of a DICOM file; else the full range); `full`: the smallest and largest value that the file's bits
            can hold; `window`: those of `window`; `percentiles`: those of the image's own pixels.
        window: (centre, width), in the values of the file after its modality LUT, such as Hounsfield units.
        percentiles: (low, high), from 0 to 100.
        frame: which frame of a file of many, from 0; None refuses such a file.
        bits: 8 or 16.
    """

    height: int
    width: int
    channels: int
    fit: Literal["letterbox", "crop", "stretch"] = "letterbox"
    intensity: Literal["file", "full", "window", "percentiles"] = "file"
    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None
    frame: int | None = None
    bits: Literal[8, 16] = 8

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)

    @property
    def dtype(self) -> str:
        """NumPy's name of the type that prepared pixels have."""
        return f"uint{self.bits}"

    @property
    def digest(self) -> str:
        """Names the preprocessing: travels with a model and is checked where it is served."""
        return digest_of({"preprocessing": 2, **asdict(self)})


@dataclass(frozen=True)
class Invariances:
    """What an augmentation must not change, because it is a fact about the images.

    `laterality` matters where left and right differ (a chest: the heart), `orientation` is fixed where images always
    stand upright, `intensity` is calibrated where a value is a measurement (Hounsfield units), `colour` is diagnostic
    where a hue is a finding (stains, skin).
    """

    laterality: Literal["free", "matters"] = "free"
    orientation: Literal["free", "fixed"] = "free"
    intensity: Literal["free", "calibrated"] = "free"
    colour: Literal["free", "diagnostic"] = "free"


@dataclass(frozen=True)
class DataSpec:
    """What a data module knows once it is set up, and all that a model may learn of the data.

    For a binary task `class_names` is (negative, positive), for an ordinal one the order of the grades; an image of a
    multi-label task has any number of the classes. `counts` is examples per split and class. `digest` names content,
    labels and splits: two runs are comparable only where it is equal. `split` names who is in which split alone.
    `images` is examples per split: of a multi-label task the counts do not say it.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    input: InputSpec
    counts: Mapping[str, Mapping[str, int]]
    digest: str
    source: str
    split: str = ""
    synthetic: bool = False
    invariances: Invariances = field(default_factory=Invariances)
    images: Mapping[str, int] = field(default_factory=dict)

    @property
    def positive(self) -> str | None:
        """The class whose probability is *the* score of a binary task."""
        return self.class_names[1] if self.task == "binary" else None

    @property
    def outputs(self) -> int:
        """Units of the network's last layer.

        One sigmoid for a binary task; a softmax over the classes; a sigmoid per class for multi-label; for K ordered
        grades the K - 1 probabilities of being above each grade but the last.
        """
        if self.task == "binary":
            return 1
        return len(self.class_names) - (self.task == "ordinal")


@dataclass(frozen=True)
class Objective:
    """The metric that selects checkpoints, variants and champions, with its direction."""

    metric: str
    mode: Mode

    def better(self, a: float, b: float) -> bool:
        """Whether `a` beats `b`."""
        return a > b if self.mode == "max" else a < b


@dataclass(frozen=True)
class Estimate:
    """A number with the interval that it may lie in; the evaluation says of which confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities: fitted on validation, shipped inside the network.

    Args:
        method: `temperature` (Guo et al., ICML 2017): logits * scale, one number; `vector`: logits * scale + shift, one
            of each for every output (Platt's, for one output), of a softmax the logits less their mean; `isotonic`:
            probability to probability, piecewise linear between knots; `none`.
        scale: of each output of the last layer.
        shift: of each output.
        knots: isotonic: for each output pairs (probability, calibrated probability), both rising; the former from 0 to
            1. Ordinal: of being above a grade, given not below it.
    """

    method: Literal["none", "temperature", "vector", "isotonic"]
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()
    knots: tuple[tuple[tuple[float, float], ...], ...] = ()


@dataclass(frozen=True)
class FitResult:
    """What training leaves: metrics per epoch, the best epoch (1-based) and where the best weights are.

    `averaged` is the validation metrics of these weights, where they are an average of several epochs. `parameters` is
    how many numbers the network has.
    """

    history: tuple[Mapping[str, float], ...]
    best_epoch: int
    best_weights: Path
    seconds: float
    averaged: Mapping[str, float] = field(default_factory=dict)
    parameters: int = 0

    @property
    def best(self) -> Mapping[str, float]:
        """The metrics of the best weights."""
        return {**self.history[self.best_epoch - 1], **self.averaged}


@dataclass(frozen=True)
class RunResult:
    """One training, as `result.json` holds it.

    One that was validated only (`sweep.export=false`) has no bundle, and no metric of the test set. One of every fold
    has the run ids of these in `folds`; its metrics are means over them, and no epoch is the best of all.
    """

    run_id: str
    run_dir: Path
    objective: Objective
    best_epoch: int | None
    epochs: int
    metrics: Mapping[str, float]
    data: DataSpec
    bundle: Path | None
    model_uri: str | None
    seconds: float
    test_images: int = 0
    folds: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """The objective's value: what a sweep compares."""
        return float(self.metrics[self.objective.metric])


def digest_of(value: Any) -> str:
    """SHA-256 (first 16 hexadecimal digits) of a JSON-able value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
