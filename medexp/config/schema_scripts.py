"""The typed shells of the small scripts: reproduce, sync and audit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from medexp.config.schema import AuditConfig, DataConfig, PathsConfig, RuntimeConfig, TrackingConfig
from medexp.config.schema_base import Name, Node, Shell


class StoreConfig(Shell):
    """The tracking store that holds runs and the registry."""

    uri: str
    experiment: str


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
