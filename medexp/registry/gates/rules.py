"""What each gate requires: `conf/promote.yaml` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Rule = Literal["superiority", "non_inferiority"]
Alias = Literal["champion", "challenger"]


@dataclass(frozen=True)
class FloorRule:
    """Values that test metrics must reach; errors and losses must stay below theirs.

    `by` says what must: `interval`, the worse end of the metric's interval, so that luck does not pass; or `value`.
    """

    metrics: Mapping[str, float]
    by: Literal["interval", "value"]


@dataclass(frozen=True)
class ChampionRule:
    """How a candidate is held against the champion, on the same images.

    Args:
        rule: of a new champion. `superiority`: the whole interval of its advantage is above zero; `non_inferiority`:
            above -`margin`.
        challenger_rule: of a challenger.
        metric: that is compared.
        margin: in units of the metric.
        power: with which the number of images that a refusal names would show an advantage of the size that was seen.
    """

    rule: Rule
    challenger_rule: Rule
    metric: str
    margin: float
    power: float

    def of(self, alias: Alias) -> Rule:
        """Which of the two holds."""
        return self.rule if alias == "champion" else self.challenger_rule


@dataclass(frozen=True)
class SubgroupRule:
    """The least that the worst subgroup must reach; `required`: a model without subgroups fails."""

    floor: float
    required: bool


@dataclass(frozen=True)
class CalibrationRule:
    """The largest expected calibration error, and between what the slope must lie."""

    ece: float
    slope: tuple[float, float]


@dataclass(frozen=True)
class EngineRule:
    """Engines that must agree with Keras beside the one that is served, and how many decisions may flip."""

    required: tuple[str, ...]
    flips: int


@dataclass(frozen=True)
class Rules:
    """All of them; None for a gate that is not asked for.

    Args:
        floors: of test metrics.
        champion: superiority, or non-inferiority.
        subgroup: the worst.
        calibration: on test.
        latency_ms: the longest median time of one image, by the engine that is served.
        leakage: kinds of audit findings that must not have been accepted.
        engines: parity with Keras.
        same_data: the candidate answers the champion's question, on data of the same name, not synthetic where the
            champion's are real.
    """

    floors: FloorRule | None
    champion: ChampionRule | None
    subgroup: SubgroupRule | None
    calibration: CalibrationRule | None
    latency_ms: float | None
    leakage: tuple[str, ...] | None
    engines: EngineRule | None
    same_data: bool
