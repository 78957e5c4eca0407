"""The predictions of one split: what every number and picture is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from medexp.types import Split


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of one split.

    `keys` name the images, `labels` are class indices (n,), `probabilities` has shape (n, classes), rows
    summing to 1.
    """

    split: Split
    keys: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]

    @property
    def binary(self) -> bool:
        return len(self.class_names) == 2

    @property
    def scores(self) -> np.ndarray:
        """Probability of the positive class, `float64`, (n,); only for a binary task."""
        assert self.binary
        return np.asarray(self.probabilities[:, 1], dtype=np.float64)

    def decisions(self, threshold: float | None) -> np.ndarray:
        """Class indices (n,): by `threshold` on the positive class, or the most probable class where it is None."""
        if threshold is None:
            return np.asarray(self.probabilities.argmax(axis=1))
        return np.asarray(self.scores >= threshold, dtype=int)

    def write(self, path: Path, *, threshold: float | None) -> None:
        """Write a CSV: image, label, decision, one probability per class, nine significant digits (exact float32)."""
        names = np.array(self.class_names)
        table = pd.DataFrame(
            {"image": self.keys, "label": names[self.labels], "decision": names[self.decisions(threshold)]}
        )
        for i, name in enumerate(self.class_names):
            table[f"p({name})"] = self.probabilities[:, i]
        table.to_csv(path, index=False, float_format="%.9g")
