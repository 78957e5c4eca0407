"""How far an image lies from those that the model has learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FILE = "feature_space.npz"


@dataclass(frozen=True)
class FeatureSpace:
    """Directions and spreads of the features of training images, and from where on an image is refused.

    The score is the Mahalanobis distance within the leading directions, beside the share that lies outside them
    (as in ViM, Wang et al., CVPR 2022, and Lee et al., NeurIPS 2018).

    Args:
        mean: of the features, (d,).
        directions: orthonormal rows, (k, d).
        deviations: of the features along these, (k,).
        residual: root mean square of what lies outside them.
        threshold: of the score; above it an image is refused.
        false_refusal: share of validation images above the threshold, as chosen.
    """

    mean: np.ndarray
    directions: np.ndarray
    deviations: np.ndarray
    residual: float
    threshold: float
    false_refusal: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n,), larger is further away, of features (n, d)."""
        raise NotImplementedError  # the helper's

    def refused(self, features: np.ndarray) -> np.ndarray:
        """Return which images (n,) are too far away."""
        return np.asarray(self.scores(features) > self.threshold)

    def write(self, path: Path) -> None:
        """Write an `.npz` file."""
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(self).items()}
        np.savez_compressed(path, **arrays)

    @classmethod
    def read(cls, path: Path) -> FeatureSpace:
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            found: dict[str, Any] = {name: arrays[name] for name in cls.__dataclass_fields__}
        values: dict[str, Any] = {name: value if value.ndim else float(value) for name, value in found.items()}
        return cls(**values)
