"""Folds for the audit's own small classifiers: by group, stratified, the same whatever the order of the files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from medexp.data.audit.images import group_codes, indicators, label_codes
from medexp.data.dataset import Dataset

MOST_IMAGES = 20_000
_MOST_FOLDS = 5


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


def learnable(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return of each class whether it can be learned here and tested there: bool (classes,)."""
    return _spread(dataset, rows) >= 2


def folds(dataset: Dataset, rows: np.ndarray, *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (training, held out) places within `rows` of two to five folds; none where no class is learnable.

    There are as many folds as the rarest learnable class has groups, so that each can hold out some of it. Rows are
    stratified by class; combinations of labels with fewer images than folds are one stratum.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    spread = _spread(dataset, rows)
    spread = spread[spread >= 2]
    if not len(spread):
        return
    count = min(_MOST_FOLDS, int(spread.min()))
    strata, groups = label_codes(dataset)[rows], by_appearance(group_codes(dataset)[rows])
    sizes = np.bincount(strata)
    strata = np.where(sizes[strata] < count, len(sizes), strata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a stratum with fewer images than folds
        for training, held_out in StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
            rows, strata, groups
        ):
            if len(training) and len(held_out):  # groups of very different sizes may leave a fold empty
                yield training, held_out


def _spread(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Of each class the number of groups that have it, or that have images without it, whichever is less."""
    has, groups = indicators(dataset)[rows], group_codes(dataset)[rows]
    counts = [[len(np.unique(groups[column == yes])) for yes in (True, False)] for column in has.T]
    return np.asarray(np.array(counts, dtype=int).reshape(-1, 2).min(axis=1))
