"""One answer: what was found, how sure that is, and whether the model knows such images at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medexp.decision.decide import decide
from medexp.decision.feature_space import FeatureSpace
from medexp.registry.engine.base import Outputs
from medexp.registry.passport import Passport


@dataclass(frozen=True)
class Classification:
    """One answer.

    Args:
        labels: the classes found: one, or any number for multi-label, in the passport's order.
        probabilities: of each class, in the passport's order.
        possible: the classes that cannot be ruled out at the passport's coverage. Empty: none is plausible.
        undecided: what no answer is sure of. Empty where `possible` is the label alone; else all that it may be.
            Multi-label: the findings that can be neither confirmed nor ruled out.
        strangeness: how far the image lies from those that the model has learnt from.
        strange: whether that is too far: the answer is not to be used.
        single: whether there is always one class.
        map: class activation map, (rows, columns, outputs), where it was asked for and there is one. An output is the
            positive class (binary), each class, or each grade but the last (ordinal: being above it).
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    possible: tuple[str, ...]
    undecided: tuple[str, ...]
    strangeness: float
    strange: bool
    single: bool = True
    map: np.ndarray | None = None

    @property
    def label(self) -> str | None:
        """The class; None for multi-label, however many were found."""
        return self.labels[0] if self.single else None

    @property
    def refused(self) -> bool:
        """Whether a person has to look: the image is strange, or the answer is not one class."""
        return self.strange or bool(self.undecided)


def classification(outputs: Outputs, *, passport: Passport, space: FeatureSpace, explain: bool) -> Classification:
    """Return what the outputs of one image (a batch of one) mean.

    Args:
        outputs: of an engine.
        passport: says how to read them.
        space: says how strange features are.
        explain: whether to hand on the class activation map.
    """
    row, names = outputs.probabilities, passport.class_names
    task = passport.task
    decided = decide(row, task=task, class_names=names, thresholds=passport.thresholds)[0]
    sets = passport.conformal.sets(row, task=task, class_names=names)[0]
    if task == "multilabel":
        labels = _named(names, decided)
        possible = _named(names, sets[:, 1])
        undecided = _named(names, sets[:, 0] == sets[:, 1])
    else:
        labels = (names[int(decided)],)
        possible = _named(names, sets)
        undecided = () if possible == labels else _named(names, [n in possible or n in labels for n in names])
    score = float(space.scores(outputs.features)[0])
    return Classification(
        labels=labels,
        probabilities={name: float(p) for name, p in zip(names, row[0], strict=True)},
        possible=possible,
        undecided=undecided,
        strangeness=score,
        strange=not score <= space.threshold,
        single=task != "multilabel",
        map=outputs.map[0] if explain and outputs.map is not None else None,
    )


def _named(names: tuple[str, ...], chosen: np.ndarray | list[bool]) -> tuple[str, ...]:
    return tuple(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen)
