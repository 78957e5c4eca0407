"""Where probabilities become findings, and what that achieves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medexp.types import Estimate


@dataclass(frozen=True)
class Achieved:
    """What a threshold achieves on the data it was chosen on: of one class, against the rest."""

    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds chosen on validation for a stated aim.

    Args:
        aim: `youden`, `sensitivity>=0.95`, `specificity>=0.9`, `cost=10` (a missed finding costs ten false alarms);
            `most_probable` for tasks whose answer is the most probable class.
        thresholds: by class name. Binary: of the positive class; multi-label: of every class; else empty.
        achieved: by class name, on validation.
        met: whether validation reaches the aim; where it cannot, the nearest point is taken, and this says so.
    """

    aim: str
    thresholds: Mapping[str, float]
    achieved: Mapping[str, Achieved] = field(default_factory=dict)
    met: bool = True
