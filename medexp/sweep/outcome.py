"""When a sweep stops, and why it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stopped = Literal["done", "timeout", "failures", "interrupted"]


@dataclass(frozen=True)
class Limits:
    """When a sweep starts no further trial, although there are some left.

    Attributes:
        timeout: seconds after which none starts; the running ones are finished. None: never.
        max_failure_rate: share of ended trials that failed, 0 to 1, at which the search gives up ...
        min_failures: ... once so many have.
    """

    timeout: float | None = None
    max_failure_rate: float = 0.5
    min_failures: int = 5


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        stopped: "done": the study has all its trials. Otherwise some are missing, and the same command goes on:
            "timeout", "failures" (too many), or "interrupted" (Ctrl-C once: the running ones were finished).
        reason: the same in a sentence for who reads it; empty for "done".
    """

    stopped: Stopped
    reason: str = ""
