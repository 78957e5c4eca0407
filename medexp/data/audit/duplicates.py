"""Images that occur more than once, exactly or nearly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Finding, Instance, listed, plural
from medexp.data.audit.images import image_refs, label_codes
from medexp.data.audit.near_duplicates import NearDuplicates
from medexp.data.dataset import Dataset
from medexp.types import SPLITS


def identical(dataset: Dataset) -> list[np.ndarray]:
    """Return the rows of each image that occurs more than once: the same file, or the same pixels once prepared."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(dataset.facts.pixels != "")
    content = np.unique(dataset.facts.content[rows], return_inverse=True)[1].reshape(-1)
    pixels = np.unique(dataset.facts.pixels[rows], return_inverse=True)[1].reshape(-1) + len(rows)
    links = coo_array((np.ones(len(rows)), (content, pixels)), shape=(2 * len(rows), 2 * len(rows)))
    component = connected_components(links, directed=False)[1][content]
    order = np.argsort(component, kind="stable")
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    return [cluster for cluster in np.split(rows[order], starts[1:]) if len(cluster) > 1]


def representatives(dataset: Dataset, clusters: Sequence[np.ndarray]) -> np.ndarray:
    """Return the readable rows with one of each cluster of identical images, in the order of their content."""
    keep = np.asarray(dataset.facts.pixels != "")
    for cluster in clusters:
        keep[cluster[1:]] = False
    rows = np.flatnonzero(keep)
    return np.asarray(rows[np.argsort(dataset.facts.content[rows].astype(str), kind="stable")])


def duplicate_findings(dataset: Dataset, clusters: Sequence[np.ndarray]) -> list[Finding]:
    """Return `duplicates_across_splits`, `conflicting_labels` and `duplicates_within_split`, by cluster."""
    labels = label_codes(dataset)
    chosen: dict[str, list[np.ndarray]] = {
        "duplicates_across_splits": [rows for rows in clusters if len(set(dataset.splits[rows])) > 1],
        "conflicting_labels": [rows for rows in clusters if len(set(labels[rows])) > 1],
        "duplicates_within_split": [rows for rows in clusters if _repeats(dataset, rows)],
    }
    wording = {
        "duplicates_across_splits": "in more than one split",
        "conflicting_labels": "with different labels",
        "duplicates_within_split": "more than once in one split",
    }
    findings = []
    for kind, of_kind in chosen.items():
        if of_kind:
            instances = tuple(_instance(dataset, kind, rows, {"copies": float(len(rows))}) for rows in of_kind)
            verb = "occurs" if len(of_kind) == 1 else "occur"
            between = "" if kind == "duplicates_within_split" else _between(dataset, of_kind)
            summary = f"{plural(len(of_kind), 'image')} {verb} {wording[kind]}{between}."
            findings.append(Finding(kind, KINDS[kind].severity, summary, instances))
    return findings


def near_duplicate_findings(dataset: Dataset, near: NearDuplicates, clusters: Sequence[np.ndarray]) -> list[Finding]:
    """Return `near_duplicates_across_splits`, `near_conflicts` and `near_duplicates_within_split`, by pair.

    Within a split, images of one group are expected to resemble each other and are not reported.
    """
    members = {int(rows[0]): rows for rows in clusters}
    labels = label_codes(dataset)
    pairs: dict[str, list[tuple[np.ndarray, float]]] = {
        "near_duplicates_across_splits": [],
        "near_conflicts": [],
        "near_duplicates_within_split": [],
    }
    for first, second, correlation in zip(near.first, near.second, near.correlation, strict=True):
        for a in members.get(int(first), [first]):
            for b in members.get(int(second), [second]):
                pair = (np.array([a, b]), float(correlation))
                if dataset.splits[a] != dataset.splits[b]:
                    pairs["near_duplicates_across_splits"].append(pair)
                elif dataset.groups is None or dataset.groups[a] != dataset.groups[b]:
                    pairs["near_duplicates_within_split"].append(pair)
                if labels[a] != labels[b]:
                    pairs["near_conflicts"].append(pair)
    statistics = {
        "threshold": near.threshold,
        "look_alikes_median": near.unrelated,
        "pairs_compared": float(near.compared),
        "hash_distance": float(near.hash_distance),
    }
    wording = {
        "near_duplicates_across_splits": "in different splits are nearly the same",
        "near_conflicts": "are nearly the same and have different labels",
        "near_duplicates_within_split": "in one split are nearly the same",
    }
    findings = []
    for kind, of_kind in pairs.items():
        if of_kind:
            instances = tuple(_instance(dataset, kind, rows, {"correlation": r}) for rows, r in of_kind)
            between = _between(dataset, [rows for rows, _ in of_kind])
            summary = (
                f"{plural(len(of_kind), 'pair')} of images {wording[kind]}{between}: correlation of aligned details "
                f"from {near.threshold:.3f} on, where at most 0.05 pairs are expected by chance."
                f"{_links(dataset, of_kind)}"
            )
            findings.append(Finding(kind, KINDS[kind].severity, summary, instances, statistics))
    return findings


def _repeats(dataset: Dataset, rows: np.ndarray) -> bool:
    return len(set(dataset.splits[rows])) < len(rows)


def _instance(dataset: Dataset, kind: str, rows: np.ndarray, numbers: dict[str, float]) -> Instance:
    refs = image_refs(dataset, sorted(rows, key=lambda row: (SPLITS.index(dataset.splits[row]), dataset.keys[row])))
    return Instance(kind, tuple(sorted(ref.token for ref in refs)), refs, numbers=numbers)


def _between(dataset: Dataset, clusters: Sequence[np.ndarray]) -> str:
    """Such as " (8 between train and val)", where splits are crossed."""
    counts: dict[str, int] = {}
    for rows in clusters:
        splits = [split for split in SPLITS if split in set(dataset.splits[rows])]
        if len(splits) > 1:
            counts[" and ".join(splits)] = counts.get(" and ".join(splits), 0) + 1
    return f" ({', '.join(f'{count:,} between {name}' for name, count in sorted(counts.items()))})" if counts else ""


def _links(dataset: Dataset, pairs: Sequence[tuple[np.ndarray, float]]) -> str:
    """Which groups the pairs link: perhaps they are one patient under two names."""
    groups = dataset.groups
    if groups is None:
        return ""
    counts = Counter(tuple(sorted({groups[row] for row in rows})) for rows, _ in pairs)
    linked = [f"{' and '.join(names)} ({count:,})" for names, count in counts.most_common() if len(names) > 1]
    if not linked:
        return ""
    return f" They link {plural(len(linked), 'pair')} of groups, which may be one: {listed(linked)}."
