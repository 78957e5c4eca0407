"""Sets of classes that hold the true one as often as was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medexp.types import Task


@dataclass(frozen=True)
class Conformal:
    """Class-conditional (Mondrian) split-conformal limits (Vovk 2012; Sadinle, Lei and Wasserman, JASA 114:223, 2019).

    Of the images of each class, a share of at least `coverage` has that class in its set, where validation and use are
    exchangeable. An image whose set is not one class is one to abstain on.

    Args:
        coverage: chosen, such as 0.9.
        limits: by class name; a class is in the set from this probability on. Multi-label: of a finding that is there.
        absent_limits: multi-label only: by class name; `absent` is in the set from this probability of absence on.
        images: by class name, how many images of validation a limit rests on.
        absent_images: multi-label only: likewise of images without the finding.
    """

    coverage: float
    limits: Mapping[str, float]
    absent_limits: Mapping[str, float] | None = None
    images: Mapping[str, int] = field(default_factory=dict)
    absent_images: Mapping[str, int] | None = None

    def sets(self, probabilities: np.ndarray, *, task: Task, class_names: Sequence[str]) -> np.ndarray:
        """Return which answers cannot be ruled out, of type bool.

        Args:
            probabilities: (n, classes).
            task: what kind of labels.
            class_names: in the order of the columns.

        Returns:
            (n, classes); for multi-label (n, classes, 2): whether each finding may be absent, may be present.
        """
        exact = probabilities.astype(np.float64)
        present = exact >= np.array([self.limits[name] for name in class_names])
        if task != "multilabel":
            return np.asarray(present)
        assert self.absent_limits is not None
        absent = 1 - exact >= np.array([self.absent_limits[name] for name in class_names])
        return np.stack([absent, present], axis=-1)

    def unsure(
        self,
        probabilities: np.ndarray,
        *,
        task: Task,
        class_names: Sequence[str],
        decided: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return for which images (n,) the answer is not one class; multi-label: (n, classes), of which findings.

        Args:
            probabilities: (n, classes).
            task: what kind of labels.
            class_names: in the order of the columns.
            decided: what `decide` returns: a set that holds one class alone, but another than was decided, is unsure
                too. None where nothing is decided.
        """
        sets = self.sets(probabilities, task=task, class_names=class_names)
        unsure = sets.sum(axis=-1) != 1
        if decided is not None:
            unsure |= ~np.take_along_axis(sets, decided[..., np.newaxis], axis=-1)[..., 0]
        return np.asarray(unsure)
