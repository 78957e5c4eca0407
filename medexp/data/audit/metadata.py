"""Columns beside the images that predict the class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Finding, Instance, listed
from medexp.data.audit.groups import identity
from medexp.data.audit.images import group_codes, indicators
from medexp.data.audit.statistics import Area, macro_area
from medexp.data.audit.validation import by_appearance, folds, learnable, sample_rows
from medexp.data.dataset import Dataset

LEVEL = 0.70
_BINS = 20
_PRIOR = 10.0
_FEWEST_REPEATS = 2


def metadata_findings(dataset: Dataset, *, seed: int) -> list[Finding]:
    """Return `metadata_predicts_class`, an instance for each column whose area's lower bound is above 0.70.

    Each image's score is the share of each class among the *other folds'* images with the same value, drawn towards
    the overall share as if ten more images had that; numbers are cut into 20 quantiles, a missing value is a value of
    its own. Folds, area and interval are those of the shortcut probe. Identities (patients) are left out.
    """
    instances, unknown = [], []
    rows = sample_rows(dataset, np.ones(len(dataset.keys), bool), seed=seed)
    for name, values in dataset.metadata.items():
        codes = _codes(values)
        distinct = len(np.unique(codes))
        if distinct < 2 or distinct * _FEWEST_REPEATS > len(codes) or identity(name, values) is not None:
            continue
        found = _held_out_area(dataset, rows, codes[rows], seed=seed)
        if np.isnan(found.value):
            unknown.append(name)
        if found.low > LEVEL:
            numbers = {"auc": found.value, "low": found.low, "high": found.high, "level": LEVEL}
            text = f"{name}: AUC {found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f})"
            instances.append(Instance("metadata_predicts_class", (name,), text=text, numbers=numbers))
    notes = []
    if unknown:
        text = (
            f"whether {listed(unknown)} {'tells' if len(unknown) == 1 else 'tell'} the class: that needs a class that "
            "two groups have, and two groups without it"
        )
        notes = [Finding("not_checked", "note", f"{text}.", (Instance("not_checked", tuple(unknown), text=text),))]
    if not instances:
        return notes
    summary = f"The class can be predicted from a column alone: {'; '.join(item.text for item in instances)}."
    kind = "metadata_predicts_class"
    strongest = max(instances, key=lambda item: item.numbers["auc"])
    return [Finding(kind, KINDS[kind].severity, summary, tuple(instances), strongest.numbers), *notes]


def _codes(values: Sequence[str]) -> np.ndarray:
    """Integer codes, (n,): of each distinct text, or of the quantile of a number."""
    texts = np.asarray(values, dtype=str)
    numbers = np.full(len(texts), np.nan)
    try:
        numbers[texts != ""] = texts[texts != ""].astype(float)
    except ValueError:
        return np.unique(texts, return_inverse=True)[1].reshape(-1)
    known = numbers[np.isfinite(numbers)]
    if len(np.unique(known)) <= _BINS:
        return np.unique(texts, return_inverse=True)[1].reshape(-1)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="right"), len(edges) + 1)


def _held_out_area(dataset: Dataset, rows: np.ndarray, codes: np.ndarray, *, seed: int) -> Area:
    has = indicators(dataset)[rows]
    scores = np.full(has.shape, np.nan)
    for training, held_out in folds(dataset, rows, seed=seed):
        overall = has[training].mean(axis=0)
        count = np.bincount(codes[training], minlength=codes.max() + 1)[:, None]
        hits = np.zeros((codes.max() + 1, has.shape[1]))
        np.add.at(hits, codes[training], has[training])
        scores[held_out] = ((hits + _PRIOR * overall) / (count + _PRIOR))[codes[held_out]]
    if np.isnan(scores).any():
        return Area(float("nan"), float("nan"), float("nan"))
    tested = learnable(dataset, rows)
    if dataset.task == "binary":
        tested[0] = False
    has, scores = has[:, tested], scores[:, tested]
    return macro_area(has, scores, by_appearance(group_codes(dataset)[rows]), seed=seed)
