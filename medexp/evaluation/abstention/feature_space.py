"""Learn from training images what is not strange, and from validation from where on it is."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np

from medexp.decision.feature_space import FeatureSpace, on_sphere, pairwise, split_along

logger = logging.getLogger(__name__)
SHARE = 0.99  # of the variance that the leading directions hold
MOST = 128  # directions
NEIGHBOURS = 20
_USUAL = 0.95  # the quantile of validation that a score of 1 stands for
_EXACT = 1e-9


def fit_feature_space(features_train: np.ndarray, features_val: np.ndarray, *, false_refusal: float) -> FeatureSpace:
    """Return the space of training features, with a threshold that refuses a chosen share of images like validation's.

    The threshold is the k-th smallest score of n validation images, k = ceil((n + 1) (1 - false_refusal)): an
    exchangeable new image is above it with a probability of `false_refusal` or less (conformal anomaly detection;
    Laxhammar and Falkman, 2010). Where there are too few images for that, nothing is refused, and the log says so.

    Args:
        features_train: pooled features of training images, (r, d); all are kept as references.
        features_val: of all validation images, (n, d), which the network did not learn from.
        false_refusal: from 0 to 1, such as 0.05.
    """
    train = on_sphere(features_train)
    mean = train.mean(axis=0)
    centred = train - mean
    directions, deviations, residual = _spread(centred)
    references, outsides = split_along(centred, directions)
    neighbours = max(1, min(NEIGHBOURS, len(references) - 1))
    reaches, densities = _densities(pairwise(references, outsides, references, outsides), neighbours=neighbours)
    unscaled = FeatureSpace(
        mean, directions, deviations, residual, references, outsides, reaches, densities, neighbours,
        centres=np.zeros(2), spreads=np.ones(2), threshold=math.inf, false_refusal=false_refusal,
    )  # fmt: skip
    found = unscaled.distances(features_val)
    centres = np.median(found, axis=0)
    spreads = np.maximum(np.quantile(found, _USUAL, axis=0) - centres, _EXACT)
    scaled = replace(unscaled, centres=centres, spreads=spreads)
    threshold = _threshold(scaled.scores(features_val), false_refusal=false_refusal)
    return replace(scaled, threshold=threshold)


def _spread(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Leading directions (k, d), deviations (k,) along them, and the root mean square of each of the others.

    A direction needs five images: along more of them than that, training images have no spread of their own.
    """
    from sklearn.decomposition import PCA

    images, size = centred.shape
    with np.errstate(invalid="ignore", divide="ignore"):  # of one image, or of images that are all alike
        found = PCA(max(1, min(MOST, images // 5, size)), random_state=0).fit(centred)
    variances = np.nan_to_num(found.explained_variance_)
    total = float((centred**2).sum()) / max(images - 1, 1)
    k = min(int(np.searchsorted(np.cumsum(variances), SHARE * total)) + 1, len(variances))
    outside = max(total - float(variances[:k].sum()), 0.0) / max(size - k, 1)
    least = max(1e-6 * total / size, 1e-12)
    return found.components_[:k], np.sqrt(np.maximum(variances[:k], least)), math.sqrt(max(outside, least))


def _densities(distances: np.ndarray, *, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """From distances (r, r): of each its distance from its `neighbours`-th nearest, and its reachability density."""
    distances = distances.copy()
    if len(distances) > 1:
        np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
    near = np.take_along_axis(distances, nearest, axis=1)
    reaches = near.max(axis=1)
    reaches = np.maximum(reaches, max(1e-3 * float(np.median(reaches)), 1e-6))  # of copies, which lie infinitely dense
    return reaches, 1 / np.maximum(near, reaches[nearest]).mean(axis=1)


def _threshold(scores: np.ndarray, *, false_refusal: float) -> float:
    k = math.ceil((len(scores) + 1) * (1 - false_refusal) - _EXACT)
    if k <= len(scores):
        return float(np.sort(scores)[k - 1])
    logger.warning(
        "nothing is refused as strange: a share of %g takes %d validation images, and there are %d",
        false_refusal, math.ceil(1 / false_refusal - 1 - _EXACT), len(scores),
    )  # fmt: skip
    return math.inf
