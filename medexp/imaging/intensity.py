"""Which stored values are black and which are white."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medexp.errors import DataError

Policy = Literal["file", "full", "window", "percentiles"]
ROWS = 1 << 20  # values mapped at a time: what is between costs 8 bytes for each
NO_RANGE = (
    "Override: data.input.intensity=percentiles data.input.percentiles=[0.5,99.5], or "
    "data.input.intensity=window data.input.window=[centre,width]"
)


@dataclass(frozen=True)
class Intensity:
    """How stored values become grey levels; `InputSpec` says what each policy means.

    Raises:
        DataError: the numbers of the policy are missing or make no range.
    """

    policy: Policy = "file"
    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.policy == "window" and not (
            self.window is not None and np.isfinite(self.window).all() and self.window[1] > 0
        ):
            raise DataError(
                f"A window has a centre and a width above 0. Received: data.input.window={self.window}. "
                "Override: data.input.window=[centre,width]"
            )
        if self.policy == "percentiles" and not (
            self.percentiles is not None and 0 <= self.percentiles[0] < self.percentiles[1] <= 100
        ):
            raise DataError(
                f"Percentiles are two numbers from 0 to 100, the lower first. Received: "
                f"data.input.percentiles={self.percentiles}. Override: data.input.percentiles=[1,99]"
            )

    def ends(
        self,
        full: tuple[float, float] | None,
        percentile: Callable[[tuple[float, float]], tuple[float, float]],
        *,
        name: str,
    ) -> tuple[float, float]:
        """Return the values that are black and white.

        Args:
            full: the smallest and largest value the file's bits can hold; None where they say nothing.
            percentile: from (low, high), 0 to 100, to the image's values there.
            name: of the file, for errors.

        Raises:
            DataError: `full` is asked for and there is none.
        """
        if self.policy == "window":
            assert self.window is not None
            centre, width = self.window
            return centre - width / 2, centre + width / 2
        if self.policy == "percentiles":
            assert self.percentiles is not None
            return percentile(self.percentiles)
        if full is None:
            raise DataError(
                f"Pixels of 32 bits or of floating point do not say which value is black and which white. "
                f"Received: {name} with data.input.intensity={self.policy}. {NO_RANGE}"
            )
        return full


def between(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Return `values` on a line from 0 (`black` and below) to 1 (`white` and above), `float64`; NaN is black."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(all="ignore"):  # infinite values, and a line of no width, end at 0 and 1
        return np.nan_to_num(np.clip((values - black) / (white - black), 0.0, 1.0))


def levels(fraction: np.ndarray, bits: int) -> np.ndarray:
    """Return 0 to 1 as `uint8` (0 to 255), or as `uint16` (0 to 65535) for more than 8 `bits`."""
    kind, top = (np.uint8, 255) if bits <= 8 else (np.uint16, 65535)
    return np.asarray(np.rint(fraction * top), dtype=kind)


def mapped(pixels: np.ndarray, rule: Callable[[np.ndarray], np.ndarray], bits: int) -> np.ndarray:
    """Return `levels(rule(pixels), bits)`, a part at a time: the steps between are eight times as large."""
    flat = pixels.reshape(-1)
    out = np.empty(flat.shape, np.uint8 if bits <= 8 else np.uint16)
    for start in range(0, flat.size, ROWS):
        out[start : start + ROWS] = levels(rule(flat[start : start + ROWS]), bits)
    return out.reshape(pixels.shape)


def looked_up(patterns: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return `table[patterns]` for unsigned integers, a part at a time: NumPy would index with eight bytes each."""
    flat = patterns.reshape(-1)
    out = np.empty((flat.size, *table.shape[1:]), table.dtype)
    for start in range(0, flat.size, ROWS):
        np.take(table, flat[start : start + ROWS], axis=0, out=out[start : start + ROWS], mode="clip")
    return out.reshape(*patterns.shape, *table.shape[1:])


def counted(patterns: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of the unsigned integers below `size` stands in `patterns`, `int64` (size,)."""
    flat = patterns.reshape(-1)
    counts = np.zeros(size, np.int64)
    for start in range(0, flat.size, ROWS):
        counts += np.bincount(flat[start : start + ROWS], minlength=size)
    return counts


def percentile_of(values: np.ndarray, counts: np.ndarray, percents: tuple[float, float]) -> tuple[float, float]:
    """Return what `numpy.percentile` says of `values`, each of which occurs `counts` times."""
    order = np.argsort(values, kind="stable")
    ranks = np.cumsum(counts[order])
    if ranks[-1] == 0:
        return 0.0, 0.0
    place = np.asarray(percents) / 100 * (ranks[-1] - 1)
    below, above = (
        values[order][np.searchsorted(ranks, np.floor(place) + step, side="right").clip(max=len(ranks) - 1)]
        for step in (0, 1)
    )
    low, high = below + (place - np.floor(place)) * (above - below)
    return float(low), float(high)
