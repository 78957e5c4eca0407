"""The verdict of one gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

NEVER_WAIVED = "bundle"
GATES = (
    NEVER_WAIVED, "evaluation", "data", "audit", "floors", "champion", "subgroup", "calibration", "latency", "engines",
)  # fmt: skip


@dataclass(frozen=True)
class GateResult:
    """One line of the table.

    Args:
        gate: its name, one of `GATES`.
        required: in words.
        found: in words.
        verdict: `passed`; `failed`; `waived`: it failed, and somebody said why that is accepted.
    """

    gate: str
    required: str
    found: str
    verdict: Literal["passed", "failed", "waived"]

    @classmethod
    def of(cls, gate: str, required: str, found: str, *, passed: bool) -> GateResult:
        """Return the verdict of a gate that nobody has waived."""
        return cls(gate, required, found, "passed" if passed else "failed")

    def waived(self) -> GateResult:
        """The same, waived where it failed; a broken bundle never is."""
        if self.verdict != "failed" or self.gate == NEVER_WAIVED:
            return self
        return replace(self, verdict="waived")
