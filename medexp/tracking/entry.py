"""One line of a run's journal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUN, STATUS, PARAMS, TAGS, METRICS, DATA, FILES, MODEL, DAMAGED = (
    "run", "status", "params", "tags", "metrics", "data", "files", "model", "damaged",
)  # fmt: skip


def now() -> int:
    """Milliseconds since 1970, as MLflow counts them."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Entry:
    """Something a run was given.

    Args:
        kind: RUN (the first line: whose journal it is), STATUS, PARAMS, TAGS, METRICS, DATA, FILES or MODEL;
            DAMAGED for a line that cannot be read.
        data: what was given; plain values, numbers that are not finite as text ("nan").
        time: when, in milliseconds since 1970. It is sent along, so that sending twice changes nothing.
        sent: whether it was in the store before it was in the journal (the disk was full).
    """

    kind: str
    data: Mapping[str, Any]
    time: int = field(default_factory=now)
    sent: bool = False

    def line(self) -> bytes:
        """Return the line with its end."""
        flag = {"sent": True} if self.sent else {}
        text = json.dumps({"kind": self.kind, "time": self.time, **flag, **self.data}, allow_nan=False)
        return text.encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Entry:
        """Read a line; one that makes no sense is an entry of kind DAMAGED."""
        try:
            data = json.loads(line)
            return cls(kind=data.pop("kind"), time=int(data.pop("time")), sent=data.pop("sent", False), data=data)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(kind=DAMAGED, data={}, time=0)
