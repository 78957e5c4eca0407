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
        for finding in findings
    ]
    return marked + _useless(findings, accept)


def _marked(instance: Instance, accept: Sequence[Acceptance]) -> Instance:
    reason = next((item.reason for item in accept if item.covers(instance)), None)
    return replace(instance, accepted=reason)


def _useless(findings: Sequence[Finding], accept: Sequence[Acceptance]) -> list[Finding]:
    tokens = {
        (instance.kind, token) for finding in findings for instance in finding.instances for token in instance.tokens
    }
    notes = []
    for item in accept:
        if item.finding not in KINDS:
            text = unknown("finding", item.finding, KINDS)
            notes.append(_note("unknown_acceptance", (item.finding,), f"data.accept: {text}"))
            continue
        gone = tuple(dict.fromkeys(token for token in item.items if (item.finding, token) not in tokens))
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
