"""The typed shells of the small scripts: compare, reproduce, sync and audit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from medexp.config.schema import AuditConfig, DataConfig, PathsConfig, RuntimeConfig, TrackingConfig
from medexp.config.schema_base import Name, Node, Positive, Shell


class StoreConfig(Shell):
    """The tracking store that holds runs and the registry."""

    uri: str
    experiment: str


class CompareConfig(Shell):
    """Everything that `scripts/compare.py` takes."""

    sweep: Name | None
    top: Positive
    metric: Name | None
    mode: Literal["max", "min"] | None
    storage: str | None
    tracking: StoreConfig
    paths: PathsConfig

    @model_validator(mode="after")
    def _sorts(self) -> CompareConfig:
        if self.metric is None and self.mode is not None:
            raise ValueError("mode has no effect without a metric. Override: metric=val_auc")
        if self.metric is not None and self.mode is None:
            raise ValueError(f"is a large {self.metric} good? Override: mode=max, or mode=min")
        if self.metric is not None and self.metric.startswith("test_"):
            raise ValueError(f"the test set must not select: {self.metric} becomes val_{self.metric[5:]}")
        return self


class StoreUriConfig(Shell):
    """The tracking store alone; what else is said of tracking belongs to the run."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    uri: str


class ReproduceConfig(Shell):
    """Everything that `scripts/reproduce.py` takes; the rest is the configuration of the run."""

    run: Name | None
    accept: list[Literal["code", "packages", "machine", "config", "data"]]
    tracking: StoreUriConfig
    paths: PathsConfig

    @field_validator("run")
    @classmethod
    def _is_named(cls, run: str | None) -> str:
        if run is None:
            raise ValueError("which run? python scripts/reproduce.py <run id or its folder>")
        return run


class SyncConfig(Shell):
    """Everything that `scripts/sync.py` takes."""

    run: Name | None
    tracking: StoreUriConfig
    paths: PathsConfig


class AuditScriptConfig(Shell):
    """Everything that `scripts/audit.py` takes."""

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    tracking: TrackingConfig
    runtime: RuntimeConfig
    paths: PathsConfig
    data: DataConfig
    audit: AuditConfig
    logger: Node
