"""The typed shell of `scripts/promote.py`: which model, and what it must show."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from medexp.config.schema import PathsConfig
from medexp.config.schema_base import Fraction, Name, ObjectiveConfig, Pair, Shell
from medexp.config.schema_evaluation import Engine
from medexp.config.schema_scripts import StoreConfig

Rule = Literal["superiority", "non_inferiority"]
Gate = Literal["evaluation", "data", "audit", "floors", "champion", "subgroup", "calibration", "latency", "engines"]


class FloorsConfig(Shell):
    """Least values of test metrics."""

    metrics: Annotated[dict[str, float], Field(min_length=1)]
    by: Literal["interval", "value"]


class ChampionConfig(Shell):
    """How candidate and champion are compared."""

    rule: Rule
    challenger_rule: Rule
    metric: Name
    margin: Annotated[float, Field(gt=0)]
    confidence: Fraction
    resamples: Annotated[int, Field(ge=100)]
    power: Fraction


class SubgroupConfig(Shell):
    """What the worst subgroup must reach."""

    floor: float
    required: bool


class CalibrationConfig(Shell):
    """How far probabilities may be off."""

    ece: Fraction
    slope: Pair


class EnginesConfig(Shell):
    """Which engines must agree with Keras."""

    required: list[Engine]
    flips: Annotated[int, Field(ge=0)]


class GatesConfig(Shell):
    """What a candidate must show; None turns a gate off."""

    same_data: bool
    leakage: list[Name] | None
    floors: FloorsConfig | None
    champion: ChampionConfig | None
    subgroup: SubgroupConfig | None
    calibration: CalibrationConfig | None
    latency_ms: Annotated[float, Field(gt=0)] | None
    engines: EnginesConfig | None


class PromoteConfig(Shell):
    """Everything that `scripts/promote.py` takes; `as` is a word of Python, and is `alias` here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run: Name | None
    sweep: Name | None
    dataset: Name | None
    alias: Annotated[Literal["champion", "challenger"], Field(alias="as")]
    objective: ObjectiveConfig
    model_name: str
    apply: bool
    rollback: bool
    waive: list[Gate]
    reason: Name | None
    gates: GatesConfig
    tracking: StoreConfig
    paths: PathsConfig

    @model_validator(mode="before")
    @classmethod
    def _a_broken_bundle_is_never_served(cls, values: object) -> object:
        waived = values.get("waive") if isinstance(values, dict) else None
        if isinstance(waived, list) and "bundle" in waived:
            raise ValueError(
                "waive: a bundle that cannot be verified is never promoted. Remove bundle from waive=[...]; train or "
                "evaluate the run again"
            )
        return values

    @model_validator(mode="after")
    def _makes_sense(self) -> PromoteConfig:
        if self.run is not None and self.sweep is not None:
            raise ValueError("run and sweep exclude each other: name a run, or take the best of a sweep")
        if self.waive and self.reason is None:
            raise ValueError('a waived gate needs a reason, which stands in the record. Override: reason="..."')
        if self.reason is not None and not self.waive:
            raise ValueError("reason has no effect where no gate is waived. Override: 'waive=[champion]'")
        if self.rollback:
            chosen = {"run": self.run, "sweep": self.sweep, "dataset": self.dataset, "waive": self.waive or None}
            named = [name for name, value in chosen.items() if value is not None]
            named += ["as"] if self.alias == "challenger" else []
            if named:
                raise ValueError(
                    f"rollback goes back to the champion before, it chooses none. Remove {', '.join(named)}"
                )
        return self
