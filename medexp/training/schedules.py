"""Learning rates over time: functions from a peak and a number of steps to a Keras schedule.

Steps are batches. Where an optimizer gathers the gradients of several (`gradient_accumulation_steps`), Keras still
counts batches here: a schedule lasts as long, and a step has the rate of its last batch.
"""

from __future__ import annotations

import keras

from medexp.errors import ConfigError
from medexp.training.duration import Duration
from medexp.training.one_cycle import OneCycle


def constant(*, learning_rate: float, total_steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate itself: one that callbacks may set."""
    return learning_rate


def cosine(
    *, learning_rate: float, total_steps: int, steps_per_epoch: int, warmup: str = "10%", floor: float = 0.01
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up, then half a cosine (Loshchilov & Hutter, 2017).

    Args:
        learning_rate: the peak.
        total_steps: batches of the phase.
        steps_per_epoch: batches of an epoch.
        warmup: how long the rate climbs from 0 to the peak: steps, epochs or a share of the phase.
        floor: share of the peak at the end.

    Raises:
        ConfigError: a warm-up that is no duration, or longer than the phase; a floor below 0 or above 1.
    """
    climb = _steps("warmup", warmup, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    if climb > total_steps:
        raise ConfigError(
            f"The warm-up is longer than what it leads into. Received: schedule.warmup={warmup}, {climb} steps of "
            f"{total_steps}. Override: schedule.warmup=10%"
        )
    _share("floor", floor)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if climb else learning_rate,
        decay_steps=max(1, total_steps - climb),
        alpha=floor,
        warmup_target=learning_rate if climb else None,
        warmup_steps=climb,
    )


def one_cycle(
    *,
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int,
    climb: str = "45%",
    start: float = 0.1,
    floor: float = 0.001,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up, down as long, and down to a floor in what is left (Smith & Topin, 2018; Smith, 2018); see `OneCycle`.

    Args:
        learning_rate: the peak.
        total_steps: batches of the phase.
        steps_per_epoch: batches of an epoch.
        climb: how long the rate climbs, and falls again: steps, epochs or a share of the phase.
        start: share of the peak at the start, and after the fall.
        floor: share of the peak at the end.

    Raises:
        ConfigError: a climb that is no duration, or with which up and down are longer than the phase; a share below 0
            or above 1.
    """
    up = _steps("climb", climb, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    if 2 * up > total_steps + 1:  # half of an odd number of steps is rounded up
        raise ConfigError(
            f"Up and down are longer than the training they are for. Received: schedule.climb={climb}, twice {up} "
            f"steps of {total_steps}. Override: schedule.climb=45%"
        )
    _share("start", start)
    _share("floor", floor)
    return OneCycle(learning_rate, climb_steps=up, total_steps=total_steps, start=start, floor=floor)


def _steps(key: str, text: str, *, total_steps: int, steps_per_epoch: int) -> int:
    duration = Duration.parse(text, key=f"schedule.{key}")
    return duration.steps(total_steps=total_steps, steps_per_epoch=steps_per_epoch)


def _share(key: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise ConfigError(f"schedule.{key}: is a share of the peak, from 0 to 1. Received: schedule.{key}={share}.")
