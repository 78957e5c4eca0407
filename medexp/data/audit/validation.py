"""Folds for the audit's own small classifiers: by group, stratified, the same whatever the order of the files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from medexp.data.audit.images import group_codes, label_codes
from medexp.data.dataset import Dataset

MOST_IMAGES = 20_000


def sample_rows(dataset: Dataset, usable: np.ndarray, *, seed: int, most: int = MOST_IMAGES) -> np.ndarray:
    """Return at most `most` of the usable rows, drawn by seed and content, in the order of their content."""
    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((np.asarray(dataset.keys)[rows], dataset.facts.content[rows].astype(str)))]
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])])


def by_appearance(codes: np.ndarray) -> np.ndarray:
    """Number codes anew, from 0, as they first appear: in the order of content, whatever the order of the files."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse.reshape(-1)])


def folds(dataset: Dataset, rows: np.ndarray, *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (training, held out) places within `rows` of up to five folds; none where there are too few groups."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = label_codes(dataset)[rows], by_appearance(group_codes(dataset)[rows])
    count = min(5, len(np.unique(groups)))
    if count < 2 or len(np.unique(labels)) < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds
        yield from StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(rows, labels, groups)
