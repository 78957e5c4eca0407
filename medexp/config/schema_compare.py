"""The typed shell of `scripts/compare.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from medexp.config.schema import PathsConfig
from medexp.config.schema_base import Fraction, Name, Positive, Shell
from medexp.config.schema_scripts import StoreConfig

NotNegative = Annotated[float, Field(ge=0)]


class ProofConfig(Shell):
    """How variants are compared on their test split. The file says what each key means."""

    metric: Name | None
    mode: Literal["max", "min"] | None
    rope: NotNegative
    margin: Annotated[float, Field(gt=0)] | None
    confidence: Fraction
    power: Fraction
    resamples: Annotated[int, Field(ge=200)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    reference: Name | None
    pool: bool
    most: Annotated[int, Field(ge=2)]

    @field_validator("metric")
    @classmethod
    def _is_of_the_test_split(cls, metric: str | None) -> str | None:
        for split in ("val_", "train_"):
            if metric is not None and metric.startswith(split):
                raise ValueError(f"variants are proven on the test split: {metric} becomes {metric[len(split) :]}")
        return None if metric is None else metric.removeprefix("test_")


class CompareConfig(Shell):
    """Everything that `scripts/compare.py` takes."""

    runs: Annotated[list[Name], Field(min_length=1)] | None
    sweep: Name | None
    top: Positive
    metric: Name | None
    mode: Literal["max", "min"] | None
    storage: str | None
    proof: ProofConfig
    tracking: StoreConfig
    paths: PathsConfig

    @model_validator(mode="after")
    def _sorts(self) -> CompareConfig:
        if self.runs is not None and self.sweep is not None:
            raise ValueError("runs and sweep exclude each other: name runs, or a sweep whose runs are compared")
        if self.runs is not None and (self.metric is not None or self.storage is not None):
            raise ValueError("metric and storage are of a sweep's table. Runs are compared by proof.metric=auc")
        if self.metric is None and self.mode is not None:
            raise ValueError("mode has no effect without a metric. Override: metric=val_auc")
        if self.metric is not None and self.mode is None:
            raise ValueError(f"is a large {self.metric} good? Override: mode=max, or mode=min")
        if self.metric is not None and self.metric.startswith("test_"):
            raise ValueError(
                f"the test set must not select: {self.metric} becomes val_{self.metric[5:]}. To compare on it: "
                f"proof.metric={self.metric[5:]}"
            )
        return self
