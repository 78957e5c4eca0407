"""The line that log odds would have to be moved along to be true."""

from __future__ import annotations

import numpy as np

from medexp.evaluation.logits import activated

_STEPS, _STEEPEST = 100, 1e3  # beyond, the scores separate the answers


class Recalibration:
    """Logistic recalibration, logit P(true) = intercept + slope * log odds (Cox, Biometrika 45:562, 1958).

    Args:
        log_odds: what was said of each question of each image, (n, questions); they are pooled.
        truth: 1 or 0, the same shape.
    """

    def __init__(self, log_odds: np.ndarray, truth: np.ndarray) -> None:
        self._x, self._truth = log_odds, truth
        self._line = self._fitted(free=True)
        self._shift = self._fitted(free=False)

    @property
    def slope(self) -> float:
        """With its own intercept; NaN where there is no finite one."""
        return float("nan") if self._line is None else float(self._line[1])

    @property
    def intercept(self) -> float:
        """With the slope held at 1; NaN where there is no finite one."""
        return float("nan") if self._shift is None else float(self._shift[0])

    @property
    def columns(self) -> np.ndarray:
        """What bootstrap samples are sums of, (n, 10): `of_sums` takes them."""
        starts = (self._line, self._shift)
        nothing = np.zeros((len(self._truth), 5))
        return np.concatenate([nothing if start is None else self._parts(start) for start in starts], axis=1)

    def of_sums(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return slope and intercept of weighted images, (samples,) each: one Newton step from those of the images.

        Args:
            sums: weights of the images times `columns`, (samples, 10).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = self.slope + _step(sums[:, :5])[1]
            intercept = self.intercept + _step(sums[:, 5:], free=False)[0]
        return slope, intercept

    def _parts(self, line: np.ndarray) -> np.ndarray:
        """Gradient (2) and curvature (3) of the likelihood of each image, (n, 5)."""
        said = activated(line[0] + line[1] * self._x, task="binary")
        wrong, spread = self._truth - said, said * (1 - said)
        columns = [wrong, wrong * self._x, spread, spread * self._x, spread * self._x**2]
        return np.stack([column.sum(axis=1) for column in columns], axis=1)

    def _fitted(self, *, free: bool) -> np.ndarray | None:
        """Newton's method, each step halved until the likelihood grows; None where there is no finite best."""
        line = np.array([0.0, 1.0])
        best = self._likelihood(line)
        for _ in range(_STEPS):
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.array(
                    [float(part[0]) for part in _step(self._parts(line).sum(axis=0, keepdims=True), free=free)]
                )
            if not np.isfinite(step).all():
                return None
            size = 1.0
            while size > 1e-8 and self._likelihood(line + size * step) < best:
                size /= 2
            line = line + size * step
            best = self._likelihood(line)
            if np.abs(line).max() > _STEEPEST:
                return None
            if np.abs(size * step).max() < 1e-10:
                return line
        return None

    def _likelihood(self, line: np.ndarray) -> float:
        moved = line[0] + line[1] * self._x
        return float((self._truth * moved - np.logaddexp(0, moved)).sum())


def _step(sums: np.ndarray, *, free: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of intercept and slope of each sample by its sums (samples, 5)."""
    level, tilt, a, b, c = sums.T
    if not free:
        return level / a, np.zeros(len(sums))
    determinant = a * c - b * b
    return (c * level - b * tilt) / determinant, (a * tilt - b * level) / determinant
