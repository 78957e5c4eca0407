"""Where a result comes from: run, data, code, versions; and the engines of what leaves."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.settings import Setting
from medexp.redact import redact


@dataclass(frozen=True)
class Engine:
    """One export of the network.

    Args:
        kind: such as `litert`.
        agrees: whether it says what Keras says.
        default: whether it is served.
        facts: what else was measured, by name.
        why_not: why it is not served.
    """

    kind: str
    agrees: bool
    default: bool
    facts: Mapping[str, str]
    why_not: str


def provenance(facts: Facts) -> tuple[Setting, ...]:
    """Return what a repetition needs, of what is on record; neither the user nor the host is named."""
    return tuple(Setting(name, value) for name, value in _provenance(facts) if value)


def engines(facts: Facts) -> tuple[Engine, ...]:
    """Return the exports that the passport lists; `why_not` of those that are not served."""
    passport = facts.passport or {}
    listed: Any = passport.get("engines") or ([passport["engine"]] if passport.get("engine") else [])
    rows = [{"kind": kind, **row} for kind, row in listed.items()] if isinstance(listed, Mapping) else list(listed)
    default = passport.get("default_engine") or (passport.get("engine") or {}).get("kind") or _first(rows)
    return tuple(
        Engine(
            kind=str(row.get("kind", "")),
            agrees=bool(row.get("agrees", True)),
            default=row.get("kind") == default,
            facts={key.replace("_", " "): _short(value) for key, value in row.items() if key not in _SHOWN},
            why_not=str(row.get("why_not") or ""),
        )
        for row in rows
    )


_SHOWN = ("kind", "agrees", "why_not")


def _first(rows: Sequence[Mapping[str, Any]]) -> Any:
    return next((row.get("kind") for row in rows if row.get("agrees")), None)


def _provenance(facts: Facts) -> Iterator[tuple[str, str]]:
    evidence, environment = facts.evidence, facts.environment
    yield "Run", evidence.run_id
    if evidence.evaluation_id != evidence.run_id:
        yield "Evaluation", evidence.evaluation_id
    yield "Evaluated", evidence.created
    yield "Data", f"{facts.data_name}, digest {facts.data.get('digest')}, split {facts.data.get('split') or 'unknown'}"
    yield "Trained on", f"digest {evidence.trained_on}" if facts.external else "the same data"
    if environment.get("git_commit"):
        dirty = ", not as committed" if environment.get("git_dirty") else ""
        yield "Commit", f"{environment['git_commit']}{dirty}"
    yield "Command", redact(shlex.join(map(str, environment.get("command") or ())))
    yield "Seed", str(environment.get("seed", ""))
    yield "Versions", ", ".join(f"{name} {version}" for name, version in (environment.get("versions") or {}).items())
    if environment.get("lock"):
        yield "Lock file", f"SHA-256 {environment['lock']}"
    machine = environment.get("machine") or {}
    yield "Machine", ", ".join(_short(machine[key]) for key in ("processor", "device", "cores") if machine.get(key))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_short(item)}" for key, item in value.items())
    return "" if value is None else str(value)
