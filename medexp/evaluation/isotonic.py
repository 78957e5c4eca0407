"""A rising curve from a probability to how often it came true."""

from __future__ import annotations

import numpy as np

Knots = tuple[tuple[float, float], ...]
IDENTITY: Knots = ((0.0, 0.0), (1.0, 1.0))
STEEPEST = 32.0  # rise of a curve: what engines round differently must not become visible


def centred_isotonic(probabilities: np.ndarray, targets: np.ndarray) -> Knots:
    """Return the knots of centred isotonic regression (Oron and Flournoy, Stat Biopharm Res 9:258, 2017).

    Isotonic regression (Zadrozny and Elkan, KDD 2002) is a stair: all on one step get the same probability, and their
    ranks are lost. Here each step is its centre, and the curve is linear between: it rises everywhere.

    Args:
        probabilities: said, (n,).
        targets: what came true, between 0 and 1 exclusively, (n,).

    Returns:
        Pairs (said, calibrated), single-precision numbers, both rising; the first says 0, the last 1. Steps that are so
        close that the curve would rise more than 32 times as fast as what is said are pooled. A curve of one step, for
        probabilities that rank no better than chance, is the identity.
    """
    from sklearn.isotonic import isotonic_regression

    said, place, count = np.unique(probabilities.astype(np.float64), return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=targets) / count
    fitted = isotonic_regression(mean, sample_weight=count.astype(np.float64))
    step = np.append(0, np.cumsum(np.diff(fitted) > 1e-12))
    images = np.bincount(step, weights=count)
    if len(images) == 1:
        return IDENTITY
    centre = np.bincount(step, weights=count * said) / images
    height = np.bincount(step, weights=count * mean) / images
    return _knots(*_eased(centre, height, images))


def _eased(centre: np.ndarray, height: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pool neighbouring steps, the steepest rise first, until none is too steep."""
    while len(centre) > 1:
        rise = np.diff(height) / np.maximum(np.diff(centre), 1e-12)
        place = int(rise.argmax())
        if rise[place] <= STEEPEST:
            break
        both = slice(place, place + 2)
        pooled = [np.average(values[both], weights=images[both]) for values in (centre, height)]
        centre, height = (
            np.delete(np.where(np.arange(len(values)) == place, one, values), place + 1)
            for values, one in zip((centre, height), pooled, strict=True)
        )
        images = np.delete(np.where(np.arange(len(images)) == place, images[both].sum(), images), place + 1)
    return centre, height


def _knots(centre: np.ndarray, height: np.ndarray) -> Knots:
    """Add the ends, and drop what single precision cannot tell apart: networks compute in it."""
    start = max(0.0, height[0] - STEEPEST * centre[0])
    end = min(1.0, height[-1] + STEEPEST * (1 - centre[-1]))
    inside = (centre > 1e-6) & (centre < 1 - 1e-6)
    x = np.concatenate([[0.0], centre[inside], [1.0]]).astype(np.float32)
    y = np.concatenate([[start], height[inside], [end]]).astype(np.float32)
    rising = np.append(True, np.diff(x) > 0)
    return tuple((float(a), float(b)) for a, b in zip(x[rising], np.maximum.accumulate(y[rising]), strict=True))
