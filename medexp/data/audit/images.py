"""Names of images in findings."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from medexp.data.audit.findings import TOKEN_LENGTH, ImageRef
from medexp.data.dataset import Dataset


def image_refs(dataset: Dataset, rows: Iterable[int]) -> tuple[ImageRef, ...]:
    """Return what findings say of the images of `rows`."""
    return tuple(
        ImageRef(
            token=str(dataset.facts.content[row])[:TOKEN_LENGTH],
            key=dataset.keys[row],
            split=str(dataset.splits[row]),
            label=label_name(dataset, row),
            group=None if dataset.groups is None else dataset.groups[row],
            row=int(row),
        )
        for row in rows
    )


def label_name(dataset: Dataset, row: int) -> str:
    """Return the class of an image, or the classes of a multi-label one joined by " + "; "none" without any."""
    label = dataset.labels[row]
    if np.ndim(label) == 0:
        return dataset.class_names[int(label)]
    return " + ".join(name for name, has in zip(dataset.class_names, label, strict=True) if has) or "none"


def label_codes(dataset: Dataset) -> np.ndarray:
    """Return one integer for each image, shape (n,), equal where the labels are equal; also for multi-label."""
    if dataset.labels.ndim == 1:
        return np.asarray(dataset.labels, dtype=np.int64)
    return np.unique(dataset.labels, axis=0, return_inverse=True)[1].reshape(-1)


def indicators(dataset: Dataset) -> np.ndarray:
    """Return whether each image has each class, bool (n, classes)."""
    if dataset.labels.ndim == 2:
        return np.asarray(dataset.labels != 0)
    return np.asarray(dataset.labels[:, None] == np.arange(len(dataset.class_names)))


def group_codes(dataset: Dataset) -> np.ndarray:
    """Return one integer for each image, shape (n,), equal within a group; all differ where there are no groups."""
    if dataset.groups is None:
        return np.arange(len(dataset.keys))
    return np.unique(np.asarray(dataset.groups), return_inverse=True)[1].reshape(-1)
