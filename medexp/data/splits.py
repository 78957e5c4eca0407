"""Divide images into training, validation and test, keeping groups together and classes in proportion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from medexp.errors import DataError
from medexp.types import Split


def split_by_group(
    labels: np.ndarray, groups: Sequence[str], *, val: float, test: float, seed: int
) -> tuple[Split, ...]:
    """Return the split of each example; a group (patient) is in one split only.

    Deterministic by seed and by the names of the groups. Where each group has one class, the groups of each
    class are shared out as `val` and `test` say, to the nearest group. Where groups mix classes, they are dealt
    into stratified folds (scikit-learn's StratifiedGroupKFold), as many as the share allows.

    Args:
        labels: class index of each example, shape (n,).
        groups: name of each example's group, length n.
        val: share for validation.
        test: share for test.
        seed: of the dealing.

    Raises:
        DataError: a class has fewer than three groups.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    per_class = [len(np.unique(index[labels == label])) for label in np.unique(labels)]
    if min(per_class) < 3:
        raise DataError(
            "A class needs three groups (patients, or images where none are given) to be in all three splits. "
            f"Received: {min(per_class)}. Collect more, or give a split of your own: data=manifest "
            "data.split_column=..."
        )
    everything = np.arange(len(labels))
    rest, held = _hold_out(everything, labels, index, len(names), test, leave=2, seed=seed)
    train, validated = _hold_out(rest, labels, index, len(names), val / (1 - test), leave=1, seed=seed)
    splits = np.empty(len(labels), dtype=object)
    splits[train], splits[validated], splits[held] = "train", "val", "test"
    return tuple(splits)


def _hold_out(
    rows: np.ndarray, labels: np.ndarray, index: np.ndarray, n_groups: int, share: float, *, leave: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide `rows` into those that stay and those that are held out."""
    groups = np.unique(index[rows])
    first = np.zeros(n_groups, dtype=labels.dtype)
    first[index[rows]] = labels[rows]
    if (first[index[rows]] == labels[rows]).all():  # one class per group: deal the groups
        stay, out = _deal(groups, first[groups], share, leave, seed)
        return rows[np.isin(index[rows], stay)], rows[np.isin(index[rows], out)]
    smallest = min(len(np.unique(index[rows][labels[rows] == label])) for label in np.unique(labels[rows]))
    folds = max(2, min(round(1 / share), smallest))
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    stay, out = next(iter(dealer.split(rows, labels[rows], index[rows])))
    return rows[stay], rows[out]


def _deal(
    groups: np.ndarray, classes: np.ndarray, share: float, leave: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide groups: of each class at least one is held out, and at least `leave` stay."""
    stay, out = [], []
    for label in np.unique(classes):
        own = groups[classes == label]
        count = min(max(1, round(share * len(own))), len(own) - leave)
        kept, held = train_test_split(own, test_size=count, random_state=seed)
        stay.append(kept)
        out.append(held)
    return np.concatenate(stay), np.concatenate(out)
