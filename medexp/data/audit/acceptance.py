"""Marks what is accepted, and says which acceptances accept nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Acceptance, Finding, Instance, listed, plural
from medexp.errors import unknown


def accepted(findings: Sequence[Finding], accept: Sequence[Acceptance]) -> list[Finding]:
    """Return the findings with the reason beside each accepted instance, and notes on useless acceptances.

    Acceptances of one kind with the same reason add up, so that a list may be split as one likes.
    """
    marked = [
        replace(finding, instances=tuple(_marked(instance, accept) for instance in finding.instances))
        if acceptable(finding)
        else finding
        for finding in findings
    ]
    return marked + _useless(findings, accept)


def acceptable(finding: Finding) -> bool:
    """Return whether a training can go on with it: not without a class that it needs."""
    return finding.severity != "refuse" or KINDS[finding.kind].acceptable


def _marked(instance: Instance, accept: Sequence[Acceptance]) -> Instance:
    reason = next((item.reason for item in accept if item.covers(instance)), None)
    return replace(instance, accepted=reason)


def _useless(findings: Sequence[Finding], accept: Sequence[Acceptance]) -> list[Finding]:
    found = {(instance.kind, instance.id) for finding in findings for instance in finding.instances}
    open_ = {(i.kind, i.id) for finding in findings if not acceptable(finding) for i in finding.instances}
    notes = []
    for item in accept:
        if item.finding not in KINDS:
            text = unknown("finding", item.finding, KINDS)
            notes.append(_note("unknown_acceptance", (item.finding,), f"data.accept: {text}"))
            continue
        refused = tuple(dict.fromkeys(name for name in item.items if (item.finding, name) in open_))
        if refused:
            text = f"data.accept: {item.finding} cannot be accepted, only mended: {listed(refused, 6)}"
            notes.append(_note("unknown_acceptance", refused, text))
        gone = tuple(dict.fromkeys(name for name in item.items if (item.finding, name) not in found))
        if gone:
            verb = "does" if len(gone) == 1 else "do"
            text = (
                f"{plural(len(gone), 'accepted item')} of {item.finding} {verb} not occur any more: "
                f"{listed(gone, 6)}; the reason was: {item.reason}"
            )
            notes.append(_note("stale_acceptance", gone, text))
    return notes


def _note(kind: str, tokens: tuple[str, ...], text: str) -> Finding:
    return Finding(kind, "note", text if text.endswith(".") else f"{text}.", (Instance(kind, tokens, text=text),))
