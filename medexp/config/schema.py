"""The typed shell of a training's configuration; what varies by option stays a free `_target_` node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Node = dict[str, Any]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(strict=False, coerce_numbers_to_str=True, min_length=1)]


SMALLER_IS_BETTER = ("loss", "log_loss", "brier")
LARGER_IS_BETTER = ("auc", "accuracy", "balanced_accuracy", "average_precision", "f1", "sensitivity", "specificity")


class Shell(BaseModel):
    """Frozen, and an unknown key is an error: a key that has no effect misleads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ObjectiveConfig(Shell):
    """The metric that selects the best epoch, and its direction."""

    metric: Name
    mode: Literal["max", "min"]

    @model_validator(mode="after")
    def _makes_sense(self) -> ObjectiveConfig:
        if self.metric.startswith("test_"):
            raise ValueError(f"the test set must not select: {self.metric} becomes val_{self.metric[5:]}")
        name = self.metric.removeprefix("val_")
        wanted = "min" if name in SMALLER_IS_BETTER else "max" if name in LARGER_IS_BETTER else self.mode
        if wanted != self.mode:
            raise ValueError(f"of {self.metric} the best is the {wanted}imum: objective.mode={wanted}")
        return self


class TrackingConfig(Shell):
    """Where runs are recorded. `artifacts` is where an SQL store puts files; a server decides for itself."""

    uri: str
    experiment: str
    artifacts: str


class RuntimeConfig(Shell):
    """The process: Keras backend and what the console shows (the log file always has everything)."""

    backend: Literal["tensorflow"]
    console_level: Literal["INFO", "WARNING", "ERROR"]


class PathsConfig(Shell):
    """Absolute folders."""

    root: Path = Field(strict=False)
    outputs: Path = Field(strict=False)
    datasets: Path = Field(strict=False)


class SweepConfig(Shell):
    """Set by the sweeper: the MLflow run that is the parent of this one."""

    parent: str | None


class InputConfig(Shell):
    """The pixels that a network sees."""

    height: Positive
    width: Positive
    channels: Literal[1, 3]
    fit: Literal["letterbox", "stretch"]


class SplitConfig(Shell):
    """Shares of the groups (patients) that go to validation and test, where a source has no split of its own."""

    val: Fraction
    test: Fraction
    seed: int

    @model_validator(mode="after")
    def _leaves_training(self) -> SplitConfig:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test must leave images to train on, they add up to {self.val + self.test:g}")
        return self


class DataConfig(Shell):
    """What every data set has; `source` gathers the keys of its own loader."""

    name: str
    aug: str
    positive: Name | None
    batch_size: Positive
    input: InputConfig
    split: SplitConfig
    source: Node


class TrainConfig(Shell):
    """Everything that `scripts/train.py` takes."""

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    objective: ObjectiveConfig
    tracking: TrackingConfig
    runtime: RuntimeConfig
    paths: PathsConfig
    sweep: SweepConfig
    data: DataConfig
    augmentation: Node
    model: Node
    optimizer: Node
    schedule: Node
    trainer: Node
    callbacks: dict[str, Node | None]
    logger: Node


class StoreConfig(Shell):
    """The tracking store that holds runs and the registry."""

    uri: str
    experiment: str


class PromoteConfig(Shell):
    """Everything that `scripts/promote.py` takes."""

    run: Name | None
    sweep: Name | None
    dataset: Name | None
    objective: ObjectiveConfig
    model_name: str
    apply: bool
    accept_worse: bool
    accept_other_data: bool
    tracking: StoreConfig
    paths: PathsConfig

    @model_validator(mode="after")
    def _one_selection(self) -> PromoteConfig:
        if self.run is not None and self.sweep is not None:
            raise ValueError("run and sweep exclude each other: name a run, or take the best of a sweep")
        return self
