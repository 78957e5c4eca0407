"""Divide images into training, validation and test, keeping groups together and classes in proportion."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from medexp.errors import DataError
from medexp.types import Split

FOLDS = 20


def split_by_group(
    labels: np.ndarray, groups: Sequence[str], *, val: float, test: float, seed: int
) -> tuple[Split, ...]:
    """Return the split of each example; a group (patient) is in one split only.

    Groups are dealt into 20 stratified folds (fewer where a class has fewer groups); `test` and `val` take as
    many folds as their share says, to the nearest fold, at least one each. Deterministic by seed and by the
    names of the groups.

    Args:
        labels: class index of each example, shape (n,).
        groups: name of each example's group, length n.
        val: share of the folds for validation.
        test: share of the folds for test.
        seed: of the dealing.

    Raises:
        DataError: a class has fewer than three groups.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    per_class = [len(np.unique(index[labels == label])) for label in np.unique(labels)]
    if min(per_class) < 3:
        raise DataError(
            "A class needs three groups (patients, or images where none are given) to be in all three splits. "
            f"Received: {min(per_class)}. Collect more, or give a split of your own: data=manifest data.split_column=..."
        )
    folds = min(FOLDS, *per_class)
    fold = _deal(labels, index, len(names), folds, seed)
    n_test = max(1, round(test * folds))
    n_val = min(max(1, round(val * folds)), folds - n_test - 1)
    return tuple("test" if f < n_test else "val" if f < n_test + n_val else "train" for f in fold)


def _deal(labels: np.ndarray, index: np.ndarray, n_groups: int, folds: int, seed: int) -> np.ndarray:
    """The fold of each example."""
    first = np.zeros(n_groups, dtype=labels.dtype)
    first[index] = labels
    fold = np.empty(len(labels), dtype=int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if (first[index] == labels).all():  # one class per group: deal the groups
            of_group = np.empty(n_groups, dtype=int)
            dealer = StratifiedKFold(folds, shuffle=True, random_state=seed)
            for number, (_, held) in enumerate(dealer.split(first, first)):
                of_group[held] = number
            return np.asarray(of_group[index])
        mixed = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for number, (_, held) in enumerate(mixed.split(labels, labels, index)):
            fold[held] = number
    return fold
