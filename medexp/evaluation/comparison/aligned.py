"""Predictions of the same images, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medexp.errors import DataError
from medexp.evaluation.predictions import Predictions

_SHOWN = 3


def aligned(predictions: Sequence[Predictions], *, names: Sequence[str]) -> tuple[Predictions, ...]:
    """Return the predictions in the order of the first ones.

    Args:
        predictions: of one split of one data set each.
        names: of the runs, for messages.

    Raises:
        DataError: they are of other images, labels, classes or groups: nothing paired can be said.
    """
    first = predictions[0]
    return (
        first,
        *(_like(first, other, names[0], name) for other, name in zip(predictions[1:], names[1:], strict=True)),
    )


def _like(first: Predictions, other: Predictions, name: str, other_name: str) -> Predictions:
    both = f"{name} and {other_name}"
    if (first.task, first.class_names) != (other.task, other.class_names):
        kinds = [f"{p.task} of {', '.join(p.class_names)}" for p in (first, other)]
        raise DataError(f"The runs answer other questions. Received: {both}: {kinds[0]}, and {kinds[1]}.")
    ordered = other
    if first.keys != other.keys:
        ordered = _reordered(first, other, both)
    differing = np.flatnonzero((ordered.labels != first.labels).reshape(len(first.keys), -1).any(axis=1))
    if len(differing):
        raise DataError(
            f"The runs were tested with other labels: nothing paired can be said. Received: {both}, of whose images "
            f"{len(differing)} of {len(first.keys)} differ: {_some([first.keys[i] for i in differing])}."
        )
    if first.groups is not None and ordered.groups is not None and not _same_parts(first.groups, ordered.groups):
        raise DataError(f"The runs were tested with other groups (patients) of the same images. Received: {both}.")
    return ordered


def _reordered(first: Predictions, other: Predictions, both: str) -> Predictions:
    places = {key: i for i, key in enumerate(other.keys)}
    extra = sorted(places.keys() - set(first.keys))
    missing = [key for key in first.keys if key not in places]
    if extra or missing or len(places) != len(other.keys) or len(set(first.keys)) != len(first.keys):
        alone = _some(missing or extra or ["a name occurs twice"])
        raise DataError(
            f"The runs were tested on other images: nothing paired can be said. Received: {both}, with "
            f"{len(first.keys)} and {len(other.keys)} images, of which {len(missing)} and {len(extra)} are of one "
            f"alone: {alone}."
        )
    return other.take(np.array([places[key] for key in first.keys]))


def _same_parts(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether two namings part the images alike."""
    pairs = set(zip(a, b, strict=True))
    return len(pairs) == len(set(a)) == len(set(b))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
