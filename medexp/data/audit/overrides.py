"""How to accept exactly what was found: as an override to paste, and as YAML."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Instance

REASON = "say why this is acceptable"
_PASTABLE = 40


def accept_items(instances: Sequence[Instance]) -> dict[str, list[str]]:
    """Return for each kind the ids that accept these instances, without those that can only be mended."""
    kinds: dict[str, set[str]] = {}
    for instance in instances:
        if KINDS[instance.kind].acceptable:
            kinds.setdefault(instance.kind, set()).add(instance.id)
    return {kind: sorted(ids) for kind, ids in sorted(kinds.items())}


def accept_override(instances: Sequence[Instance]) -> str | None:
    """Return `data.accept=[...]`, quoted for a shell and for Hydra; None where it would be too long to paste."""
    items = accept_items(instances)
    if not items or sum(map(len, items.values())) > _PASTABLE:
        return None
    entries = [
        f"{{finding:{kind},items:[{','.join(map(_quoted, ids))}],reason:{_quoted(REASON)}}}"
        for kind, ids in items.items()
    ]
    return shlex.quote(f"data.accept=[{','.join(entries)}]")


def accept_yaml(instances: Sequence[Instance]) -> str:
    """Return YAML with an `accept` key, for the data set's own file in `conf/data`."""
    items = accept_items(instances)
    if not items:
        why = "What is refused can only be mended" if instances else "Nothing is refused"
        return f"# {why}: there is nothing to accept.\naccept: []\n"
    lines = [
        "# Accepts exactly what this audit refused; anything new is still refused. Paste it into conf/data/NAME.yaml,",
        "# with a reason for each. An item names the contents of all its images, joined by ~, one for each copy.",
        "accept:",
    ]
    for kind, ids in items.items():
        lines += [f"  - finding: {kind}", "    items:"]
        lines += [f"      - {json.dumps(_escaped(name), ensure_ascii=False)}" for name in ids]
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
