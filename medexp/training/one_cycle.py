"""The learning rate of one cycle."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Straight lines: from a share of the peak up to it, down again as fast, and to a floor in the steps left.

    Smith & Topin, Super-convergence, arXiv:1708.07120; Smith, arXiv:1803.09820. Their momentum, which falls while the
    rate climbs, is left as it is.

    Args:
        peak: the largest rate.
        climb_steps: steps up, and as many down.
        total_steps: of all; behind them the rate stays at the floor.
        start: share of the peak at the start and after the way down.
        floor: share of the peak at the end.
    """

    def __init__(self, peak: float, *, climb_steps: int, total_steps: int, start: float, floor: float) -> None:
        self._config = {
            "peak": peak, "climb_steps": climb_steps, "total_steps": total_steps, "start": start, "floor": floor,
        }  # fmt: skip

    def __call__(self, step: Any) -> Any:
        """The rate at a step, from 0."""
        peak, up, total, start, floor = self._config.values()
        step = ops.cast(step, "float32")
        climb = start + (1 - start) * step / max(up, 1)
        fall = 1 - (1 - start) * (step - up) / max(up, 1)
        left = ops.clip((step - 2 * up) / max(total - 2 * up, 1), 0.0, 1.0)
        rest = (start if up else 1.0) * (1 - left) + floor * left
        return peak * ops.where(step < up, climb, ops.where(step < 2 * up, fall, rest))

    def get_config(self) -> dict[str, float]:
        """The arguments."""
        return dict(self._config)
