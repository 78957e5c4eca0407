"""Patients, slides and smears that are in two splits, whether they were named as groups or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Finding, Instance, Severity, listed, plural
from medexp.data.audit.images import image_refs
from medexp.data.dataset import Dataset
from medexp.types import SPLITS

_PERSON = (
    r"(?:patient|pat|subject|subj|person|participant|case|study|series|accession|slide|smear|specimen|biopsy|sample|"
    r"donor|mrn|pid|volunteer|animal|mouse|lesion|exam|encounter|visit)s?"
)
_ID = r"(?:instance ?)?(?:id|nr|no|num|number|key|code|uid)s?"
_NAMES_IDENTITY = re.compile(rf"\b(?:id)?{_PERSON}\b")
_HAS_ID = re.compile(rf"\b(?:{_PERSON}|pt) ?{_ID}\b(?! of\b)")
_NOT_A_PERSON = re.compile(
    rf"\b(?:{_PERSON})?(?:sub|birth)?"
    r"(?:age|sex|gender|type|(?:name|number|num|no|nr) of|count|control|date|time|year|grade|stage|status|"
    r"class|size|weight|height|width|volume|area|site|location|localization|side|laterality|view|position|modality|"
    r"method|protocol|description|result|outcome|diagnosis|race|ethnicity|strain|species|stain)"
    r"(?:s|group|point|stamp|range)?\b"
)
_FEWEST_VALUES = 20
_LARGEST_SHARE = 0.1


@dataclass(frozen=True)
class Crossing:
    """A value (of a group, of a column) that is in two splits: its rows."""

    value: str
    rows: np.ndarray


def group_findings(dataset: Dataset) -> list[Finding]:
    """Return `group_in_two_splits`, an instance for each group."""
    if dataset.groups is None:
        return []
    crossing = crossings(dataset.groups, dataset.splits)
    if not crossing:
        return []
    kind = "group_in_two_splits"
    instances = tuple(_instance(dataset, kind, (item.value,), f"group {item.value}", item.rows) for item in crossing)
    summary = (
        f"{len(crossing):,} of {plural(len(set(dataset.groups)), 'group')} "
        f"{'is' if len(crossing) == 1 else 'are'} in more than one split."
    )
    return [Finding(kind, KINDS[kind].severity, summary, instances)]


def identity_findings(dataset: Dataset) -> list[Finding]:
    """Return `ungrouped_identity`: columns that look like an identity and cross the splits.

    A column whose name says so (patient, smear, subject, study, slide ...) is refused; one that only looks so (many
    text values, repeated, none frequent) is a warning. A column that says the same as the groups is left out. Of a
    column that results do not keep, the values are not told.
    """
    instances: dict[Severity, list[Instance]] = {"refuse": [], "warn": []}
    texts: dict[Severity, list[str]] = {"refuse": [], "warn": []}
    for name, values in {**dataset.metadata, **dataset.hidden}.items():
        severity = identity(name, values)
        if severity is None or _same_partition(values, dataset.groups):
            continue
        crossing = crossings(values, dataset.splits)
        if not crossing:
            continue
        rows = np.concatenate([item.rows for item in crossing])
        count = len(set(values) - {""})
        text = (
            f"column {name}: {len(crossing):,} of {plural(count, 'value')} in more than one split"
            f"{'' if name in dataset.hidden else f', such as {listed([item.value for item in crossing])}'}"
        )
        numbers = {"values": float(count), "crossing": float(len(crossing)), "images": float(len(rows))}
        shown = image_refs(dataset, _examples(dataset.splits, crossing[0].rows))
        instances[severity].append(Instance("ungrouped_identity", (name,), shown, text, numbers))
        texts[severity].append(text)
    return [
        Finding(
            "ungrouped_identity",
            severity,
            f"No group keeps these together: {'; '.join(texts[severity])}.",
            tuple(instances[severity]),
        )
        for severity in instances
        if instances[severity]
    ]


def identity(name: str, values: Sequence[str]) -> Severity | None:
    """Return how a column is to be taken: `refuse` names a patient or the like, `warn` looks so, None neither."""
    present = np.asarray([value for value in values if value != ""], dtype=str)
    if not len(present):
        return None
    distinct, counts = np.unique(present, return_counts=True)
    if len(distinct) == len(present) or len(distinct) < 2:
        return None
    words = _words(name)
    has_id = _HAS_ID.search(words) is not None
    if _NOT_A_PERSON.search(words) and not has_id:
        return None
    if (has_id or _NAMES_IDENTITY.search(words)) and counts.max() <= max(2, len(present) / 2):
        return "refuse"
    many = len(distinct) >= max(_FEWEST_VALUES, len(present) / 200)
    if many and counts.max() <= _LARGEST_SHARE * len(present) and not all(map(_is_number, distinct)):
        return "warn"
    return None


def _words(name: str) -> str:
    """The words of a column's name, in lower case with spaces between: of patient_id, PatientID and "Patient-ID"."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.findall(r"[^\W\d_]+", apart.lower()))


def crossings(values: Sequence[str], splits: np.ndarray) -> list[Crossing]:
    """Return the values that are in two splits, in their order; "" is no value."""
    names, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    codes = codes.reshape(-1)
    present = np.zeros((len(names), len(SPLITS)), bool)
    for i, split in enumerate(SPLITS):
        present[codes[splits == split], i] = True
    crossing = np.flatnonzero((present.sum(axis=1) > 1) & (names != ""))
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return [Crossing(str(names[i]), order[starts[i] : starts[i + 1]]) for i in crossing]


def _instance(dataset: Dataset, kind: str, tokens: tuple[str, ...], text: str, rows: np.ndarray) -> Instance:
    splits = dataset.splits[rows]
    numbers: dict[str, float] = {split: float((splits == split).sum()) for split in SPLITS if (splits == split).any()}
    return Instance(kind, tokens, image_refs(dataset, _examples(dataset.splits, rows)), text, numbers)


def _examples(splits: np.ndarray, rows: np.ndarray) -> list[int]:
    """The first image of each split."""
    return [int(rows[splits[rows] == split][0]) for split in SPLITS if (splits[rows] == split).any()]


def _same_partition(values: Sequence[str], groups: tuple[str, ...] | None) -> bool:
    if groups is None:
        return False
    pairs = set(zip(values, groups, strict=True))
    return len(pairs) == len(set(values)) == len(set(groups))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
