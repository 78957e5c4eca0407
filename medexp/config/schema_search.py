"""The typed shell of a search: what `-m` does."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from medexp.config.schema_base import Name, Node, ObjectiveConfig, Positive, Shell


class SearchConfig(Shell):
    """What `-m` does: the space, who chooses from it, how many trials, and what is done when some fail."""

    name: str
    sampler: Literal["grid", "brute_force", "random", "qmc", "tpe", "cmaes", "nsga2", "gp"]
    sampler_options: Node
    pruner: Literal["none", "median", "percentile", "successive_halving", "hyperband", "wilcoxon"]
    pruner_options: Node
    space: dict[str, Name]
    condition: str | None
    objectives: list[ObjectiveConfig]
    n_trials: Positive | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    folds: bool
    n_jobs: Positive
    timeout: Annotated[float, Field(gt=0)] | None
    max_failure_rate: Annotated[float, Field(gt=0, le=1)]
    min_failures: Positive
    max_retry: Annotated[int, Field(ge=0)]
    study: Name | None
    storage: str | None
    fresh: bool
    allow_changed: bool
    export: bool
    refit: Annotated[int, Field(ge=0)]

    @field_validator("space", "sampler_options", "pruner_options", mode="before")
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value  # Hydra can neither empty a mapping nor add to an empty one

    @field_validator("study")
    @classmethod
    def _is_a_folder_below_sweeps(cls, study: str | None) -> str | None:
        if study is not None and not re.fullmatch(r"\w[\w.=+ -]{0,99}", study):
            raise ValueError("names a folder: letters, digits and . _ = + -, at most 100, a letter or digit first")
        return study

    @model_validator(mode="after")
    def _makes_sense(self) -> SearchConfig:
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(
                "several objectives cannot be pruned: nothing says which of two curves is the better. "
                "Override: search.pruner=none"
            )
        if len(self.objectives) > 1 and self.refit:
            raise ValueError("of several objectives there is no single best to train again. Override: search.refit=0")
        if self.pruner == "wilcoxon" and not self.folds:
            raise ValueError("wilcoxon compares trials fold by fold. Override: search.folds=true")
        if self.n_trials is None and self.sampler not in ("grid", "brute_force"):
            raise ValueError(f"{self.sampler} has no end of its own. Override: search.n_trials=20")
        return self
