"""The record of one decision: who, when, on what evidence, through which gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from medexp.registry.gates.result import GateResult

Outcome = Literal["begun", "done", "refused", "abandoned"]
Action = Literal["promote", "rollback"]


@dataclass(frozen=True)
class Decision:
    """What `decision.json` of a run of kind `promotion` holds.

    Args:
        action: `promote`, or `rollback`.
        model_name: in the registry.
        alias: that was given.
        run_id: of the candidate; of the version that is gone back to.
        version: that got the alias; None until it is registered.
        history: the champions before, the last one served.
        outcome: `begun` until all is written; `done`; `refused` by a gate; `abandoned`: interrupted, and overtaken by
            another decision.
        who: user and host.
        when: ISO 8601, UTC.
        command: that was typed.
        commit: of the code that judged; None where there is no repository.
        gates: each with what it required, what was found and its verdict.
        waived_because: the reason that was given; None where nothing was waived.
        evidence: all facts that the gates looked at, digests and ids of where they come from.
    """

    action: Action
    model_name: str
    alias: str
    run_id: str
    version: str | None
    history: tuple[str, ...]
    outcome: Outcome
    who: str
    when: str
    command: tuple[str, ...]
    commit: str | None
    gates: tuple[GateResult, ...] = ()
    waived_because: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
