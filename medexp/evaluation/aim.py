"""What an operating point is chosen for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from medexp.errors import ConfigError

YOUDEN, MOST_PROBABLE = "youden", "most_probable"
_SHARE = re.compile(r"(sensitivity|specificity)>=(\d*\.?\d+)")
_COST = re.compile(r"cost=(\d*\.?\d+|\d+\.)")


@dataclass(frozen=True)
class Aim:
    """One aim, such as `sensitivity>=0.95`.

    Args:
        kind: `youden`: largest sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950). `sensitivity`: the best
            specificity of all points that reach this sensitivity; `specificity` the other way round. `cost`: least cost
            on validation, of as many positives as there are.
        value: the share to reach, or what a missed finding costs in false alarms.
    """

    kind: Literal["youden", "sensitivity", "specificity", "cost"]
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Aim:
        """Read `youden`, `sensitivity>=0.95`, `specificity>=0.9` or `cost=10` (or ConfigError)."""
        plain = text.replace(" ", "")
        if plain == YOUDEN:
            return cls("youden")
        if (share := _SHARE.fullmatch(plain)) and 0 < float(share[2]) <= 1:
            return cls("sensitivity" if share[1] == "sensitivity" else "specificity", float(share[2]))
        if (cost := _COST.fullmatch(plain)) and float(cost[1]) > 0:
            return cls("cost", float(cost[1]))
        raise ConfigError(
            f"An operating point has no such aim. Received: {text!r}. Available: youden, sensitivity>=0.95, "
            "specificity>=0.9, cost=10. Override: evaluation.operating_point=youden"
        )

    @property
    def words(self) -> str:
        """The aim in a sentence, after `chosen for`."""
        if self.kind == "youden":
            return "the largest sum of sensitivity and specificity (Youden's index)"
        if self.kind == "cost":
            return f"the least cost, where a missed finding costs {self.value:g} false alarms"
        other = "specificity" if self.kind == "sensitivity" else "sensitivity"
        return f"a {self.kind} of at least {self.value:g} at the best {other}"
