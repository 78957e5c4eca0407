"""Learning rates over time: functions from a peak and a number of steps to a Keras schedule."""

from __future__ import annotations

import keras


def constant(*, learning_rate: float, total_steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate itself."""
    return learning_rate


def cosine(
    *, learning_rate: float, total_steps: int, steps_per_epoch: int, warmup: float = 0.1, floor: float = 0.01
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up, then half a cosine (Loshchilov & Hutter, 2017).

    Args:
        learning_rate: the peak.
        total_steps: batches of the whole training.
        steps_per_epoch: batches of an epoch.
        warmup: share of the steps that climb from 0 to the peak.
        floor: share of the peak at the end.
    """
    climb = round(warmup * total_steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if climb else learning_rate,
        decay_steps=max(1, total_steps - climb),
        alpha=floor,
        warmup_target=learning_rate if climb else None,
        warmup_steps=climb,
    )
