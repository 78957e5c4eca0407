"""What an audit leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medexp.data.audit.findings import Finding, Instance


@dataclass(frozen=True)
class Check:
    """One thing that was looked for, and how it went, one sentence; clean or not."""

    name: str
    result: str
    seconds: float


@dataclass(frozen=True)
class AuditReport:
    """All findings of one data set under one split.

    Args:
        name: of the data set.
        findings: those that are refused first, then warnings, then notes.
        checks: everything that was looked for.
        counts: images of each split and class.
        totals: images of each split.
        seconds: that it took.
        synthetic: whether a program drew the images.
    """

    name: str
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    counts: Mapping[str, Mapping[str, int]]
    totals: Mapping[str, int]
    seconds: float
    synthetic: bool = False

    @property
    def refused(self) -> tuple[Instance, ...]:
        """What a strict training refuses and nobody accepted."""
        return tuple(
            instance
            for finding in self.findings
            if finding.severity == "refuse"
            for instance in finding.instances
            if instance.accepted is None
        )

    @property
    def accepted(self) -> tuple[Instance, ...]:
        """What is accepted, with the reasons."""
        return tuple(i for finding in self.findings for i in finding.instances if i.accepted is not None)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings to be read, of which something is not accepted."""
        return tuple(f for f in self.findings if f.severity == "warn" and any(i.accepted is None for i in f.instances))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values, each instance with its id; no number but finite ones."""
        values: dict[str, Any] = _jsonable(asdict(self))
        for finding, described in zip(self.findings, values["findings"], strict=True):
            for instance, of in zip(finding.instances, described["instances"], strict=True):
                of["id"] = instance.id
        return {
            "refused": len(self.refused),
            "accepted": len(self.accepted),
            "warnings": len(self.warnings),
            **values,
        }


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value
