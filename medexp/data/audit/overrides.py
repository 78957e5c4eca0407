"""How to accept exactly what was found: as an override to paste, and as YAML."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from medexp.data.audit.findings import Instance

REASON = "say why this is acceptable"
_PASTABLE = 40


def accept_items(instances: Sequence[Instance]) -> dict[str, list[str]]:
    """Return for each kind the tokens that accept these instances, each as often as one instance needs it."""
    kinds: dict[str, dict[str, int]] = {}
    for instance in instances:
        counts = kinds.setdefault(instance.kind, {})
        for token in dict.fromkeys(instance.tokens):
            counts[token] = max(counts.get(token, 0), instance.tokens.count(token))
    return {
        kind: [token for token in sorted(counts) for _ in range(counts[token])]
        for kind, counts in sorted(kinds.items())
    }


def accept_override(instances: Sequence[Instance]) -> str | None:
    """Return `data.accept=[...]`, quoted for a shell and for Hydra; None where it would be too long to paste."""
    items = accept_items(instances)
    if not items or sum(map(len, items.values())) > _PASTABLE:
        return None
    entries = [
        f"{{finding:{kind},items:[{','.join(map(_quoted, tokens))}],reason:{_quoted(REASON)}}}"
        for kind, tokens in items.items()
    ]
    return shlex.quote(f"data.accept=[{','.join(entries)}]")


def accept_yaml(instances: Sequence[Instance]) -> str:
    """Return YAML with an `accept` key, for the data set's own file in `conf/data`."""
    if not instances:
        return "# Nothing is refused: there is nothing to accept.\naccept: []\n"
    lines = [
        "# Accepts exactly what this audit refused; anything new is still refused. Paste it into conf/data/NAME.yaml,",
        "# with a reason for each. An image is named by its content, as often as there are copies of it.",
        "accept:",
    ]
    for kind, tokens in accept_items(instances).items():
        lines += [f"  - finding: {kind}", "    items:"]
        lines += [f"      - {json.dumps(_escaped(token), ensure_ascii=False)}" for token in tokens]
        lines += [f"    reason: {json.dumps(REASON)}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """In double quotes, as Hydra's grammar of overrides reads them: a backslash counts only before a quote."""
    text = _escaped(text)
    kept = []
    for i, character in enumerate(text):
        if character == '"':
            before = len(text[:i]) - len(text[:i].rstrip("\\"))
            kept.append("\\" * before + '\\"')
        else:
            kept.append(character)
    trailing = len(text) - len(text.rstrip("\\"))
    return '"' + "".join(kept) + "\\" * trailing + '"'


def _escaped(text: str) -> str:
    """A `${` that is text, not an interpolation."""
    return text.replace("${", "\\${")
