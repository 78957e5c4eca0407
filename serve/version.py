"""Which version of the registered model an alias names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """One version in the registry: `number` is MLflow's, `model_id` the logged model that holds its files."""

    name: str
    number: str
    alias: str
    model_id: str
