"""How long: written as steps, epochs, a share of the whole, or time, and converted in one place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from medexp.errors import ConfigError

Unit = Literal["step", "epoch", "%", "second", "minute"]
_FORMS = {"steps": "step", "epochs": "epoch", "seconds": "second", "minutes": "minute"}
_SECONDS = {"second": 1.0, "minute": 60.0}


@dataclass(frozen=True)
class Duration:
    """A positive amount, or none at all, of one unit."""

    value: float
    unit: Unit

    @classmethod
    def parse(cls, text: str, *, key: str, units: tuple[Unit, ...] = ("step", "epoch", "%")) -> Duration:
        """Read "200 steps", "3 epochs", "10%", "5 minutes" or "30 seconds".

        Args:
            text: what to read.
            key: of the configuration, for the error.
            units: that make sense there.

        Raises:
            ConfigError: anything else, a negative amount, part of a step, more than all.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(%|[a-z]+)", str(text).strip())
        unit = _FORMS.get(match[2], match[2]) if match else ""
        value = float(match[1]) if match else 0.0
        examples = {"step": "200 steps", "epoch": "3 epochs", "%": "10%", "second": "30 seconds", "minute": "5 minutes"}
        if unit not in units or (unit == "step" and value % 1) or (unit == "%" and value > 100):
            allowed = ", ".join(examples[allowed] for allowed in units)
            raise ConfigError(f"{key}: should be a duration such as {allowed}. Received: {text!r}.")
        return cls(value, unit)

    def __str__(self) -> str:
        number = f"{self.value:g}"
        return f"{number}%" if self.unit == "%" else f"{number} {self.unit}{'s' * (self.value != 1)}"

    def steps(self, *, total_steps: int, steps_per_epoch: int) -> int:
        """Batches, rounded: "%" is of `total_steps`."""
        if self.unit in _SECONDS:
            raise ValueError(f"{self} is a time, not a number of steps")
        share = {"step": 1.0, "epoch": float(steps_per_epoch), "%": total_steps / 100}[self.unit]
        return round(self.value * share)

    def epochs(self, *, total_epochs: int, steps_per_epoch: int) -> int:
        """Whole epochs, at least one: "%" is of `total_epochs`, rounded; a part of an epoch counts as one."""
        if self.unit == "%":
            return max(1, round(self.value / 100 * total_epochs))
        return max(1, math.ceil(self.steps(total_steps=0, steps_per_epoch=steps_per_epoch) / steps_per_epoch))

    @property
    def seconds(self) -> float | None:
        """Of a time; None of steps, epochs and shares."""
        factor = _SECONDS.get(self.unit)
        return None if factor is None else self.value * factor
