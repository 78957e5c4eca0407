"""A 63-bit perceptual hash whose bits are balanced on the set itself, and all near pairs by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LOW = 8  # frequencies in each direction
_STEP = 2  # pixels of the 32 by 32 image
_SAMPLE = 400_000
_CANDIDATES_PER_IMAGE = 10
_CAP_PER_IMAGE = 40
_BLOCK = 512
_PROBED = 50_000


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images whose hashes are near.

    Args:
        first: index of the one, shape (pairs,).
        second: index of the other, larger.
        distance: largest Hamming distance that was taken, of 63 bits.
    """

    first: np.ndarray
    second: np.ndarray
    distance: int


def near_pairs(grey: np.ndarray, *, seed: int) -> NearPairs:
    """Return the pairs whose hashes are nearer than those of all but about 10 n of the n (n - 1) / 2 pairs.

    The hash (pHash: Zauner, 2010) has a bit for each of the 63 lowest frequencies of the cosine transform: whether
    its coefficient is above the median *of this set*, so that images that all look alike, such as chest X-rays, still
    differ. One image of each pair is tried at nine positions, up to two pixels of 32 apart, so that a shifted copy is
    near as well; above 50,000 images only unshifted. The distance taken is the quantile of a random sample of this
    set's own pairs. Time grows as n squared (8,000 images: half a second; 100,000: a minute or two), memory as n.

    Args:
        grey: float32 (n, 32, 32).
        seed: of the sample.
    """
    n = len(grey)
    if n < 2:
        return NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), 0)
    coefficients = _spectrum(grey)
    median = np.median(coefficients, axis=0)
    hashes = _pack(coefficients > median)
    steps = (-_STEP, 0, _STEP) if n <= _PROBED else (0,)
    probes = np.stack([_pack(_spectrum(grey, y, x) > median) for y in steps for x in steps])
    distance = _typical_distance(hashes, probes, seed=seed)
    while True:
        first, second, complete = _search(hashes, probes, distance)
        if complete:
            return NearPairs(first, second, distance)
        distance -= 1


def shifted(grey: np.ndarray, y: int, x: int) -> np.ndarray:
    """Return the images moved by (y, x) pixels; the edge is repeated."""
    if y == x == 0:
        return grey
    margin = max(abs(y), abs(x))
    padded = np.pad(grey, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = grey.shape[1:]
    return padded[:, margin + y : margin + y + height, margin + x : margin + x + width]


def _spectrum(grey: np.ndarray, y: int = 0, x: int = 0) -> np.ndarray:
    """The low coefficients of the cosine transform without the mean, float32 (n, 63), of the images moved by (y, x)."""
    side = grey.shape[1]
    frequency, place = np.mgrid[:_LOW, :side]
    cosine = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side)).astype(np.float32)
    parts = [
        (cosine @ shifted(grey[start : start + _BLOCK], y, x) @ cosine.T).reshape(-1, _LOW * _LOW)[:, 1:]
        for start in range(0, len(grey), _BLOCK)
    ]
    return np.concatenate(parts)


def _pack(bits: np.ndarray) -> np.ndarray:
    packed = np.packbits(np.pad(bits, ((0, 0), (0, 1))), axis=1)
    return np.ascontiguousarray(packed).view(np.uint64).reshape(-1)


def _typical_distance(hashes: np.ndarray, probes: np.ndarray, *, seed: int) -> int:
    n = len(hashes)
    rng = np.random.default_rng(seed)
    first = rng.integers(n, size=_SAMPLE)
    second = (first + rng.integers(1, n, size=_SAMPLE)) % n
    distances = np.min([np.bitwise_count(probe[first] ^ hashes[second]) for probe in probes], axis=0)
    share = min(1.0, 2 * _CANDIDATES_PER_IMAGE / (n - 1))
    return int(np.quantile(distances, share, method="lower"))


def _search(hashes: np.ndarray, probes: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """All pairs up to `distance`; gives up (False) beyond 40 per image, unless nothing nearer is left."""
    n = len(hashes)
    first, second, found = [], [], 0
    for start in range(0, n, _BLOCK):
        block, others = slice(start, start + _BLOCK), hashes[start:]
        nearest = np.bitwise_count(probes[0, block, None] ^ others)
        for probe in probes[1:]:
            np.minimum(nearest, np.bitwise_count(probe[block, None] ^ others), out=nearest)
        i, j = np.nonzero(nearest <= distance)
        upper = j > i
        first.append(i[upper] + start)
        second.append(j[upper] + start)
        found += len(first[-1])
        if found > _CAP_PER_IMAGE * n and distance > 0:
            return np.empty(0, np.int64), np.empty(0, np.int64), False
    return np.concatenate(first), np.concatenate(second), True
