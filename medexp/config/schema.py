"""The typed shell of a training's configuration; what varies by option stays a free `_target_` node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from medexp.config.schema_base import Fraction, Name, Node, ObjectiveConfig, Pair, Positive, Shell
from medexp.config.schema_evaluation import CardConfig, EvaluationConfig
from medexp.config.schema_search import SearchConfig


class TrackingConfig(Shell):
    """Where runs are recorded. `artifacts` is where an SQL store puts files; a server decides for itself."""

    uri: str
    experiment: str
    artifacts: str


class RuntimeConfig(Shell):
    """The process: Keras backend and what the console shows (the log file always has everything)."""

    backend: Literal["tensorflow"]
    deterministic: bool
    console_level: Literal["INFO", "WARNING", "ERROR"]


class PathsConfig(Shell):
    """Absolute folders."""

    root: Path = Field(strict=False)
    outputs: Path = Field(strict=False)
    datasets: Path = Field(strict=False)


class SweepConfig(Shell):
    """Set by the sweeper: the MLflow run that is the parent of this one, and the trial that this job is.

    `folds`: it trains every fold. `export`: its network is tested and exported.
    """

    parent: str | None
    study: str | None = None
    storage: str | None = None
    trial: Annotated[int, Field(ge=0)] | None = None
    folds: bool = False
    export: bool = True


class InputConfig(Shell):
    """The pixels that a network sees. `bits: null` takes 16 where an image of the source has more than 8."""

    height: Positive
    width: Positive
    channels: Literal[1, 3]
    fit: Literal["letterbox", "crop", "stretch"]
    intensity: Literal["file", "full", "window", "percentiles"]
    window: Pair | None
    percentiles: Pair | None
    frame: Annotated[int, Field(ge=0)] | None
    bits: Literal[8, 16] | None

    @model_validator(mode="after")
    def _policy_has_its_numbers(self) -> InputConfig:
        for name, example in (("window", "[40, 400]"), ("percentiles", "[1, 99]")):
            given = getattr(self, name)
            if self.intensity == name and given is None:
                raise ValueError(f"intensity={name} needs its numbers. Override: data.input.{name}={example}")
            if self.intensity != name and given is not None:
                raise ValueError(f"{name} has no effect. Override: data.input.intensity={name}, or remove it")
        if self.window is not None and not self.window[1] > 0:
            raise ValueError(f"a window is wider than 0. Received: data.input.window={self.window}")
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError(f"percentiles go up, from 0 to 100. Received: data.input.percentiles={self.percentiles}")
        return self


class SplitConfig(Shell):
    """How groups (patients) are shared out, where a source has no split of its own.

    `folds` and `repeat` matter where `data.fold` names a fold.
    """

    val: Fraction
    test: Fraction
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    folds: Annotated[int, Field(ge=2)]
    repeat: Annotated[int, Field(ge=0)]
    together: str | None

    @model_validator(mode="after")
    def _leaves_training(self) -> SplitConfig:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test must leave images to train on, they add up to {self.val + self.test:g}")
        return self


class InvariancesConfig(Shell):
    """What an augmentation must not change."""

    laterality: Literal["free", "matters"]
    orientation: Literal["free", "fixed"]
    intensity: Literal["free", "calibrated"]
    colour: Literal["free", "diagnostic"]


class AcceptConfig(Shell):
    """Findings of the audit that are known and accepted: their kind, exactly which, and why."""

    finding: str
    items: Annotated[list[Name], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]


class CacheConfig(Shell):
    """Where prepared pixels are kept, and how many bytes they may take before images are streamed instead."""

    folder: Path = Field(strict=False)
    max_gb: Annotated[float, Field(ge=0)]
    workers: Positive | None


class DataConfig(Shell):
    """What every data set has; `source` gathers the keys of its own loader."""

    name: str
    task: Literal["binary", "multiclass", "multilabel", "ordinal"] | None
    classes: Annotated[list[Name], Field(min_length=2)] | None
    positive: Name | None
    batch_size: Positive
    sampling: Literal["shuffle", "balanced"]
    workers: Positive
    input: InputConfig
    split: SplitConfig
    fold: Annotated[int, Field(ge=0)] | None
    split_file: str | None
    audit: Literal["strict", "warn", "off"]
    accept: list[AcceptConfig]
    invariances: InvariancesConfig
    cache: CacheConfig
    source: Node

    @model_validator(mode="after")
    def _makes_sense(self) -> DataConfig:
        if self.fold is not None and self.fold >= self.split.folds:
            raise ValueError(
                f"folds go from 0 to data.split.folds - 1. Received: data.fold={self.fold} of {self.split.folds}"
            )
        if self.fold is not None and self.split_file is not None:
            raise ValueError("data.split_file says who is in which split: remove data.fold, it has no effect")
        if self.split.together is not None and self.split_file is not None:
            raise ValueError("data.split_file says who is in which split: remove data.split.together, it has no effect")
        if self.split.repeat and self.fold is None:
            raise ValueError("data.split.repeat has no effect without a fold. Override: data.fold=0")
        return self


class AugmentedDataConfig(DataConfig):
    """What a training adds: the name of the augmentation policy."""

    aug: str


class DataShell(Shell):
    """A data set alone."""

    data: DataConfig


class AuditConfig(Shell):
    """How closely the audit looks."""

    probe: bool
    canary: bool
    min_per_class: Positive


class PhaseConfig(Shell):
    """A part of a training: which layers, how long, at which peak learning rate."""

    duration: Name
    train: Annotated[float, Field(gt=0, le=1)] | str
    batch_norm: Literal["train", "freeze"]
    learning_rate: Annotated[float, Field(gt=0)] | None
    start: Literal["last", "best"]
    callbacks: dict[str, Node | None]


class FinetuningConfig(Shell):
    """Phases by name, in their order (null leaves one out), and how the learning rate falls towards the input."""

    layer_decay: Annotated[float, Field(gt=0, le=1)] | None
    phases: dict[str, PhaseConfig | None]

    @model_validator(mode="after")
    def _trains(self) -> FinetuningConfig:
        if not any(self.phases.values()):
            raise ValueError("at least one phase is needed. Override: finetuning=none")
        return self


class TrainConfig(Shell):
    """Everything that `scripts/train.py` takes."""

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    resume: Name | None = None
    objective: ObjectiveConfig
    tracking: TrackingConfig
    runtime: RuntimeConfig
    paths: PathsConfig
    sweep: SweepConfig
    search: SearchConfig | None = None
    data: AugmentedDataConfig
    audit: AuditConfig
    augmentation: Node
    model: Node
    loss: Node
    optimizer: Node
    schedule: Node
    finetuning: FinetuningConfig
    trainer: Node
    callbacks: dict[str, Node | None]
    evaluation: EvaluationConfig
    card: CardConfig
    logger: Node

    @field_validator("resume")
    @classmethod
    def _is_no_part_of_a_configuration(cls, resume: str | None) -> None:
        if resume is not None:
            raise ValueError("continues one run by that run's own configuration: alone on the command line, without -m")

    @model_validator(mode="after")
    def _prunes_by_what_epochs_are_compared_by(self) -> TrainConfig:
        search, own = self.search, self.objective
        if search is not None and search.pruner != "none" and search.objectives not in ([], [own]):
            other = search.objectives[0]
            raise ValueError(
                f"a pruner hears `objective` at each epoch, here {own.mode} {own.metric}, and the search is for "
                f"{other.mode} {other.metric}. Override: search.pruner=none, or objective.metric and objective.mode "
                "in place of search.objectives"
            )
        return self
