"""How far an image lies from those that the model has learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FILE = "feature_space.npz"
_TINY = 1e-12
_AT_A_TIME = 256  # images compared with all references at once


@dataclass(frozen=True)
class FeatureSpace:
    """What the features of training images look like, and from where on an image is refused.

    Features are set to length 1 after the root of each (keeping its sign; Perronnin et al., ECCV 2010), so that few
    strong ones do not decide alone. An image is then measured twice:

    - its squared Mahalanobis distance from the mean: within the leading directions, and in what lies outside them
      (Lee et al., NeurIPS 2018; the residual as in ViM, Wang et al., CVPR 2022);
    - its local outlier factor: how much sparser the training images are around it than around its nearest ones
      (Breunig et al., SIGMOD 2000). Of a distance, what lies outside the leading directions is taken to be at right
      angles to that of the other image.

    The score is the mean of both logarithms, each less the median of validation and divided by how far the 95th
    percentile lies above it: half of the validation images are below about 0, and one in twenty is above about 1.

    Args:
        mean: of the features, (d,).
        directions: orthonormal rows, (k, d).
        deviations: of the features along these, (k,).
        residual: root mean square of each of the directions outside; they count as one spread.
        references: training images along these directions, (r, k).
        outsides: squared lengths of what lies outside, (r,).
        reaches: distance of each from its `neighbours`-th nearest, (r,).
        densities: local reachability density of each, (r,).
        neighbours: that the outlier factor looks at.
        centres: medians of the two logarithms on validation, (2,).
        spreads: how far their 95th percentiles lie above, (2,).
        threshold: of the score; above it an image is refused. Infinite where nothing can be refused.
        false_refusal: share of images like those of validation that are above the threshold, as chosen.
    """

    mean: np.ndarray
    directions: np.ndarray
    deviations: np.ndarray
    residual: float
    references: np.ndarray
    outsides: np.ndarray
    reaches: np.ndarray
    densities: np.ndarray
    neighbours: int
    centres: np.ndarray
    spreads: np.ndarray
    threshold: float
    false_refusal: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n,), larger is further away, of pooled features (n, d); NaN where these are no numbers."""
        return np.asarray(((self.distances(features) - self.centres) / self.spreads).mean(axis=1))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return the logarithms of squared Mahalanobis distance and local outlier factor, (n, 2)."""
        parts = [features[start : start + _AT_A_TIME] for start in range(0, len(features), _AT_A_TIME)]
        return np.concatenate([self._distances(part) for part in parts]) if parts else np.empty((0, 2))

    def refused(self, features: np.ndarray) -> np.ndarray:
        """Return which images (n,) are too far away; also those whose features are no numbers."""
        return np.asarray(~(self.scores(features) <= self.threshold))

    def write(self, path: Path) -> None:
        """Write an `.npz` file."""
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(self).items()}
        np.savez_compressed(path, **arrays)

    @classmethod
    def read(cls, path: Path) -> FeatureSpace:
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            found: dict[str, Any] = {name: arrays[name] for name in cls.__dataclass_fields__}
        values: dict[str, Any] = {name: value if value.ndim else value.item() for name, value in found.items()}
        return cls(**values)

    def _distances(self, features: np.ndarray) -> np.ndarray:
        along, outside = split_along(on_sphere(features) - self.mean, self.directions)
        mahalanobis = ((along / self.deviations) ** 2).sum(axis=1) + outside / self.residual**2
        factor = self._outlier_factor(along, outside)
        return np.asarray(np.log(np.maximum(np.stack([mahalanobis, factor], axis=1), _TINY)))

    def _outlier_factor(self, along: np.ndarray, outside: np.ndarray) -> np.ndarray:
        distances = pairwise(along, outside, self.references, self.outsides)
        nearest = np.argpartition(distances, self.neighbours - 1, axis=1)[:, : self.neighbours]
        reach = np.maximum(np.take_along_axis(distances, nearest, axis=1), self.reaches[nearest])
        return np.asarray(self.densities[nearest].mean(axis=1) * reach.mean(axis=1))


def on_sphere(features: np.ndarray) -> np.ndarray:
    """Return features (n, d) as `float64` rows of length 1, the root of each taken; a row of zeros stays zeros."""
    exact = features.astype(np.float64)
    roots = np.sign(exact) * np.sqrt(np.abs(exact))
    with np.errstate(invalid="ignore"):  # infinite features are none
        return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), _TINY))


def split_along(centred: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, d) along orthonormal directions (k, d), (n, k), and the squared lengths of the rest, (n,)."""
    along = centred @ directions.T
    return along, np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)


def pairwise(along: np.ndarray, outside: np.ndarray, others: np.ndarray, others_outside: np.ndarray) -> np.ndarray:
    """Return distances (n, m) of n images from m others, each as `split_along` returns it."""
    left, right = (along**2).sum(axis=1) + outside, (others**2).sum(axis=1) + others_outside
    return np.asarray(np.sqrt(np.maximum(left[:, np.newaxis] + right - 2 * (along @ others.T), 0.0)))
