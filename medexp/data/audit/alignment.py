"""How alike two images are once they are laid over each other."""

from __future__ import annotations

import numpy as np

_REACH = 3
_FINE, _COARSE, _AROUND = 0.7, 4.0, 3.0
_CONTRAST_FLOOR = 0.3
_BLOCK = 1024


def details(grey: np.ndarray) -> np.ndarray:
    """Return what tells images apart, float32 (n, side, side): their fine structure, of even contrast everywhere.

    A chest is like any other chest in its large shapes; a copy is like its original in the small ones. So: the
    difference of two Gaussians (0.7 and 4 pixels of 32; compression changes what is finer), divided by its own
    deviation nearby (local contrast normalisation: Jarrett et al., 2009), so that one strong edge, such as that of a
    black margin, does not outweigh the rest.
    """
    parts = [_details(grey[start : start + _BLOCK]) for start in range(0, len(grey), _BLOCK)]
    return np.concatenate(parts) if parts else grey


def _details(grey: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
        rows = gaussian_filter1d(images, sigma, axis=1, mode="nearest", truncate=3.0)
        return np.asarray(gaussian_filter1d(rows, sigma, axis=2, mode="nearest", truncate=3.0))

    band = blurred(grey, _FINE) - blurred(grey, _COARSE)
    nearby = np.sqrt(np.maximum(blurred(band**2, _AROUND), 0))
    overall = band.reshape(len(band), -1).std(axis=1)[:, None, None]
    return np.asarray(band / (nearby + _CONTRAST_FLOOR * overall + 0.5), dtype=np.float32)


def aligned_correlation(detail: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the normalised cross-correlation of pairs at their best position, float32 (pairs,), at most 1.

    The middle of the second image is looked for in the first, up to three pixels in each direction (template
    matching: Lewis, 1995), and the peak between whole pixels is that of a parabola through its neighbours.

    Args:
        detail: what `details` returned, (n, side, side).
        first: indices of the one.
        second: indices of the other.
    """
    from threadpoolctl import threadpool_limits

    side = detail.shape[1]
    size, positions = side - 2 * _REACH, 2 * _REACH + 1
    middle = detail[:, _REACH : side - _REACH, _REACH : side - _REACH].reshape(len(detail), -1)
    templates = _standardised(middle)
    windows = np.lib.stride_tricks.sliding_window_view(detail, (size, size), axis=(1, 2))
    score = np.empty(len(first), np.float32)
    order = np.argsort(first, kind="stable")
    images, starts = np.unique(first[order], return_index=True)
    with threadpool_limits(1, user_api="blas"):  # products this small are slower on several threads
        for image, pairs in zip(images, np.split(order, starts[1:]), strict=True):
            surface = templates[second[pairs]] @ _standardised(windows[image].reshape(positions**2, -1)).T
            score[pairs] = _peak(surface.reshape(-1, positions, positions))
    return score


def _standardised(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    return np.asarray(centred / np.maximum(norm, 1e-6)[:, None])


def _peak(surface: np.ndarray) -> np.ndarray:
    """The maximum of each surface, between its points; shape (pairs,)."""
    pairs, height, width = surface.shape
    y, x = np.divmod(surface.reshape(pairs, -1).argmax(axis=1), width)
    at = np.arange(pairs)
    top = surface[at, y, x]
    gain = np.zeros(pairs, np.float32)
    for before, after in (
        (surface[at, np.maximum(y - 1, 0), x], surface[at, np.minimum(y + 1, height - 1), x]),
        (surface[at, y, np.maximum(x - 1, 0)], surface[at, y, np.minimum(x + 1, width - 1)]),
    ):
        bend = 2 * top - before - after
        gain += np.where(bend > 1e-6, (after - before) ** 2 / (8 * np.maximum(bend, 1e-6)), 0)
    return np.asarray(np.minimum(top + gain, 1), dtype=np.float32)
