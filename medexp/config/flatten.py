"""A typed configuration as the keys that a user overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig

from medexp.config.schema import TrainConfig
from medexp.config.schema_scripts import AuditScriptConfig


def as_composed(config: TrainConfig | AuditScriptConfig) -> dict[str, Any]:
    """Return nested plain values with the keys of the YAML files: `data.source` is dissolved again.

    Which run a command goes on with, and what searches, is no part of a run's configuration: `resume`, `search`.
    """
    plain = config.model_dump(mode="json", exclude={"resume", "search"})
    plain["data"] = {**plain["data"].pop("source"), **plain["data"]}
    return plain


def flatten(config: TrainConfig | AuditScriptConfig) -> dict[str, Any]:
    """Return dotted keys, each as on the command line, and their values; lists stay whole."""
    return dict(leaves("", as_composed(config)))


def task_overrides() -> tuple[str, ...]:
    """The overrides of this job as the user gave them; none outside a Hydra program."""
    if not HydraConfig.initialized():
        return ()
    return tuple(item for item in HydraConfig.get().overrides.task if not item.startswith("sweep."))


def leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys below `prefix` ("" at the top) with their values; lists and empty mappings are values."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from leaves(f"{prefix}.{key}" if prefix else str(key), child)
    else:
        yield prefix, value
