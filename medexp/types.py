"""Frozen facts that rooms hand each other. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Task = Literal["binary", "multiclass"]
Split = Literal["train", "val", "test"]
Mode = Literal["max", "min"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class InputSpec:
    """The pixels a network sees: `uint8`, shape (height, width, channels), values 0 to 255.

    `channels` is 1 (grey) or 3 (RGB); `fit` is how another aspect ratio is made to fit: `letterbox`
    keeps the ratio and pads with black, `stretch` does not keep it.
    """

    height: int
    width: int
    channels: int
    fit: Literal["letterbox", "stretch"] = "letterbox"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)

    @property
    def digest(self) -> str:
        """Names the preprocessing: travels with a model and is checked where it is served."""
        return digest_of({"preprocessing": 1, **asdict(self)})


@dataclass(frozen=True)
class DataSpec:
    """What a data module knows once it is set up, and all that a model may learn of the data.

    For a binary task `class_names` is (negative, positive). `counts` is examples per split and class.
    `digest` names content, labels and splits: two runs are comparable only where it is equal.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    input: InputSpec
    counts: Mapping[str, Mapping[str, int]]
    digest: str
    source: str
    synthetic: bool = False

    @property
    def positive(self) -> str | None:
        """The class whose probability is *the* score of a binary task."""
        return self.class_names[1] if self.task == "binary" else None

    @property
    def outputs(self) -> int:
        """Units of the network's last layer: one sigmoid for a binary task, else one per class."""
        return 1 if self.task == "binary" else len(self.class_names)


@dataclass(frozen=True)
class Objective:
    """The metric that selects checkpoints, variants and champions, with its direction."""

    metric: str
    mode: Mode

    def better(self, a: float, b: float) -> bool:
        """Whether `a` beats `b`."""
        return a > b if self.mode == "max" else a < b


@dataclass(frozen=True)
class FitResult:
    """What training leaves: metrics per epoch, the best epoch (1-based) and where its weights are."""

    history: tuple[Mapping[str, float], ...]
    best_epoch: int
    best_weights: Path
    seconds: float

    @property
    def best(self) -> Mapping[str, float]:
        return self.history[self.best_epoch - 1]


@dataclass(frozen=True)
class RunResult:
    """One training, as `result.json` holds it."""

    run_id: str
    run_dir: Path
    objective: Objective
    best_epoch: int
    epochs: int
    metrics: Mapping[str, float]
    data: DataSpec
    bundle: Path
    model_uri: str | None
    seconds: float

    @property
    def score(self) -> float:
        """The objective's value: what a sweep compares."""
        return float(self.metrics[self.objective.metric])


def digest_of(value: Any) -> str:
    """SHA-256 (first 16 hexadecimal digits) of a JSON-able value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
