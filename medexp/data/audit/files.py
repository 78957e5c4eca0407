"""Files that give no image."""

from __future__ import annotations

import numpy as np

from medexp.data.audit.findings import Finding, Instance, plural
from medexp.data.audit.images import image_refs
from medexp.data.dataset import Dataset


def unreadable_files(dataset: Dataset) -> list[Finding]:
    """Return `empty_file` and `unreadable`, an instance for each file; one that cannot be opened is unreadable."""
    bad = dataset.facts.error != ""
    none_read = bad & (dataset.facts.bytes == 0)
    empty = none_read & np.array(["is empty" in str(error) for error in dataset.facts.error], dtype=bool)
    findings = []
    for kind, chosen, verb in (("empty_file", empty, "is empty"), ("unreadable", bad & ~empty, "cannot be read")):
        rows = np.flatnonzero(chosen)
        if not len(rows):
            continue
        instances = []
        for row in rows.tolist():
            (ref,) = image_refs(dataset, [row])
            token = ref.key if none_read[row] else ref.token  # without bytes there is no content to name it by
            instances.append(Instance(kind, (token,), (ref,), str(dataset.facts.error[row])))
        verb = verb if len(rows) == 1 else {"is empty": "are empty"}.get(verb, "cannot be read")
        findings.append(Finding(kind, "refuse", f"{plural(len(rows), 'file')} {verb}.", tuple(instances)))
    return findings
