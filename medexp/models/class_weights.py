"""How much the answers of a network count in the loss, from how many images there are of each class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from medexp.errors import ConfigError, unknown
from medexp.types import DataSpec

KEY = "loss.class_weights"
ClassWeights = Literal["auto"] | Mapping[str, float] | None


@dataclass(frozen=True)
class OutputWeights:
    """Weights of the terms of a cross-entropy, one for each output of the network.

    Args:
        positive: of the term of a target of 1.
        negative: of that of a target of 0; a multi-class cross-entropy has none.
    """

    positive: tuple[float, ...]
    negative: tuple[float, ...]


def output_weights(spec: DataSpec, weights: ClassWeights) -> OutputWeights | None:
    """Return the weights of the loss of `spec`, or None where all are 1.

    `auto` counts the images of training. Multi-class and binary: N / (K n) for a class that n of N images have, so
    that each of the K classes counts the same in all and an image 1 in the mean. Multi-label: for each finding
    N / (2 n) where it is and N / (2 (N - n)) where it is not. Ordinal: for each cut point between grades N / (2 n)
    for the images on either side of it. A side without images counts 1.

    Weights by name are taken as they are. Multi-label: of a finding where it is; where it is not the weight is 1.
    Ordinal: a cut point weighs the images on a side of it by the mean weight of their grades.

    Args:
        spec: the task, and how many training images have each class.
        weights: `auto`, or one for each class by its name; None for none.

    Raises:
        ConfigError: a class that is not there or has no weight, a weight below 0 or not finite, all of them 0, or a
            word other than `auto`.
    """
    if weights is None:
        return None
    if isinstance(weights, str):
        if weights != "auto":
            raise ConfigError(f"{KEY}: {unknown('word', weights, ['auto'])} Or a weight for each class: {_form(spec)}")
        return _balanced(spec)
    given = [_checked(spec, weights)[name] for name in spec.class_names]
    if spec.task == "binary":
        return OutputWeights((given[1],), (given[0],))
    if spec.task == "ordinal":
        counts = [spec.counts["train"][name] for name in spec.class_names]
        cuts = range(1, len(given))
        return OutputWeights(
            tuple(_mean(given[cut:], counts[cut:]) for cut in cuts),
            tuple(_mean(given[:cut], counts[:cut]) for cut in cuts),
        )
    return OutputWeights(tuple(given), (1.0,) * len(given))


def _balanced(spec: DataSpec) -> OutputWeights:
    counts = [spec.counts["train"][name] for name in spec.class_names]
    total = _images(spec)
    if spec.task == "multiclass":
        return OutputWeights(tuple(total / (len(counts) * n) for n in counts), (1.0,) * len(counts))
    if spec.task == "binary":
        positives = counts[1:]
    elif spec.task == "ordinal":
        positives = [sum(counts[cut:]) for cut in range(1, len(counts))]
    else:
        positives = counts
    sides = [(total / (2 * n), total / (2 * (total - n))) if 0 < n < total else (1.0, 1.0) for n in positives]
    return OutputWeights(tuple(side[0] for side in sides), tuple(side[1] for side in sides))


def _images(spec: DataSpec) -> int:
    """Training images: where an image has any number of the classes, their counts do not say it."""
    if spec.task != "multilabel":
        return sum(spec.counts["train"].values())
    images = spec.images
    if "train" not in images:
        raise ConfigError(
            f"The number of training images is not known. Received: {KEY}=auto of a multi-label task. "
            f"Override: {_form(spec)}"
        )
    return images["train"]


def _checked(spec: DataSpec, weights: Mapping[str, float]) -> dict[str, float]:
    named = {str(name): weight for name, weight in weights.items()}
    for name in named:
        if name not in spec.class_names:
            raise ConfigError(f"{KEY}: {unknown('class', name, spec.class_names)} Override: {_form(spec)}")
    missing = [name for name in spec.class_names if name not in named]
    if missing:
        raise ConfigError(
            f"{KEY} needs a weight for every class, {', '.join(missing)} has none. Received: {named}. "
            f"Override: {_form(spec)}"
        )
    for name, weight in named.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
            raise ConfigError(
                f"{KEY}: the weight of {name} should be a number, 0 or more. Received: {weight!r}. "
                f"Override: {_form(spec)}"
            )
    if not any(named.values()):
        raise ConfigError(f"{KEY}: with all weights 0 there is nothing to learn. Received: {named}.")
    return {name: float(weight) for name, weight in named.items()}


def _form(spec: DataSpec) -> str:
    return f"'{KEY}={{{', '.join(f'{name}: 1' for name in spec.class_names)}}}'"


def _mean(weights: list[float], counts: list[int]) -> float:
    """The mean weight of images, whose numbers are `counts`."""
    return sum(w * n for w, n in zip(weights, counts, strict=True)) / sum(counts)
