"""The predictions of one split: what every number and picture is made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from medexp.decision.decide import decide
from medexp.errors import DataError
from medexp.types import Split, Task

GROUP = "group"
_METADATA = re.compile(r"meta\((.*)\)")


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of one split, n images.

    Args:
        split: which.
        keys: names of the images.
        labels: class indices (n,); multi-label: 0 or 1 for each class (n, classes).
        probabilities: of each class, (n, classes); rows sum to 1, except for multi-label.
        class_names: binary: (negative, positive); ordinal: in order.
        task: what kind of labels.
        groups: the patient, smear ... of each image, n; None where each image stands alone.
        metadata: other columns of the data by name, n values each, "" where one is missing.
    """

    split: Split
    keys: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    task: Task
    groups: tuple[str, ...] | None = None
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def scores(self) -> np.ndarray:
        """Probability of the positive class, `float64`, (n,); only for a binary task."""
        assert self.task == "binary"
        return np.asarray(self.probabilities[:, 1], dtype=np.float64)

    def decisions(self, thresholds: Mapping[str, float]) -> np.ndarray:
        """Return what is decided, in the form of `labels`; a probability equal to its threshold is positive.

        Args:
            thresholds: by class name. Binary: of the positive class; multi-label: of every class. Empty for the other
                tasks, and for a binary one whose most probable class is meant.
        """
        return decide(self.probabilities, task=self.task, class_names=self.class_names, thresholds=thresholds)

    def take(self, rows: np.ndarray) -> Predictions:
        """Return the predictions of some images: `rows` are places (m,), or a choice of type bool (n,)."""
        chosen = np.arange(len(self.keys))[rows]
        return replace(
            self,
            keys=tuple(self.keys[i] for i in chosen),
            labels=self.labels[chosen],
            probabilities=self.probabilities[chosen],
            groups=None if self.groups is None else tuple(self.groups[i] for i in chosen),
            metadata={name: tuple(values[i] for i in chosen) for name, values in self.metadata.items()},
        )

    def write(self, path: Path, *, thresholds: Mapping[str, float]) -> None:
        """Write a CSV with a row for each image, probabilities with nine significant digits (exact `float32`).

        Columns: `image`, `group` where there are groups, `label`, `decision`, and `p(<class>)` for each class.
        Multi-label has `label(<class>)` and `decision(<class>)`, 0 or 1, instead. `meta(<column>)` for each column of
        `metadata`.
        """
        decided = self.decisions(thresholds)
        columns: dict[str, Sequence[object] | np.ndarray] = {"image": self.keys}
        if self.groups is not None:
            columns[GROUP] = self.groups
        for title, values in (("label", self.labels), ("decision", decided)):
            if self.task == "multilabel":
                columns |= {f"{title}({name})": values[:, i] for i, name in enumerate(self.class_names)}
            else:
                columns[title] = np.array(self.class_names)[values]
        columns |= {f"p({name})": self.probabilities[:, i] for i, name in enumerate(self.class_names)}
        columns |= {f"meta({name})": values for name, values in self.metadata.items()}
        pd.DataFrame(columns).to_csv(path, index=False, float_format="%.9g")

    @classmethod
    def read(cls, path: Path, split: Split, *, class_names: Sequence[str], task: Task) -> Predictions:
        """Return what `write` wrote: names of images and classes are text, whatever they look like.

        Raises:
            DataError: it cannot be read, or is of other classes.
        """
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[])
            probabilities = table[[f"p({name})" for name in class_names]].astype(np.float32).to_numpy()
            if task == "multilabel":
                labels = table[[f"label({name})" for name in class_names]].astype(int).to_numpy()
            else:
                labels = table["label"].map({name: i for i, name in enumerate(class_names)}).to_numpy(int)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"Predictions cannot be read ({reason}). Received: {path}. Train the run again") from error
        groups = tuple(table[GROUP]) if GROUP in table else None
        metadata = {found[1]: tuple(table[column]) for column in table if (found := _METADATA.fullmatch(column))}
        return cls(split, tuple(table["image"]), labels, probabilities, tuple(class_names), task, groups, metadata)
