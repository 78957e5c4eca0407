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
    """One export of the network, as it was measured where it was exported.

    Args:
        kind: such as `litert`.
        agrees: whether it says what Keras says.
        default: whether it is the one that answers.
        why_not: why it does not agree.
        measured: differences, flips, milliseconds, size, by what they are; those that are known.
    """

    kind: str
    agrees: bool
    default: bool
    why_not: str
    measured: Mapping[str, str]


def provenance(facts: Facts) -> tuple[Setting, ...]:
    """Return what a repetition needs, of what is on record; neither the user nor the host is named."""
    return tuple(Setting(name, value) for name, value in _provenance(facts) if value)


def engines(facts: Facts) -> tuple[Engine, ...]:
    """Return the exports that the passport lists; the first that agrees is the one that answers."""
    records: Sequence[Mapping[str, Any]] = (facts.passport or {}).get("engines") or ()
    answering = next((record["kind"] for record in records if record.get("agrees")), None)
    return tuple(
        Engine(
            kind=str(record["kind"]),
            agrees=bool(record.get("agrees")),
            default=record["kind"] == answering,
            why_not=str(record.get("why_not") or ""),
            measured=dict(_measured(record)),
        )
        for record in records
    )


def _measured(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for batch, milliseconds in (record.get("milliseconds") or {}).items():
        yield f"batch of {batch}", f"{milliseconds:.3g} ms"
    names = {"difference": "from Keras, at most", "batch_difference": "alone or in a batch"}
    for key, name in names.items():
        if record.get(key) is not None:
            yield name, f"{record[key]:.1e}"
    if record.get("flips") is not None:
        yield "flips", f"{record['flips']} of {record.get('images') or 'all'}"
    if record.get("size"):
        yield "size", f"{record['size'] / 1e6:.3g} MB"


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
