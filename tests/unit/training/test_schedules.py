from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.training.schedules import constant, cosine, one_cycle

LENGTHS = {"learning_rate": 0.1, "total_steps": 100, "steps_per_epoch": 10}


def rate(step: int, **options: Any) -> float:
    return float(cosine(**{**LENGTHS, "warmup": "10%", "floor": 0.01, **options})(step))


def cycle(step: int, **options: Any) -> float:
    return float(one_cycle(**{**LENGTHS, "climb": "40%", "start": 0.2, "floor": 0.01, **options})(step))


def test_a_constant_rate_is_the_peak() -> None:
    assert constant(learning_rate=0.1, total_steps=5, steps_per_epoch=5) == 0.1


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (0, 0.0),
        (5, 0.05),
        (10, 0.1),
        (55, 0.1 * (0.01 + 0.99 * 0.5)),
        (40, 0.1 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi / 3)))),
        (100, 0.001),
    ],
)
def test_a_cosine_climbs_to_the_peak_and_falls_to_its_floor(step: int, value: float) -> None:
    assert rate(step) == pytest.approx(value, abs=1e-7)


def test_it_climbs_before_and_falls_after_the_peak() -> None:
    values = [rate(step) for step in range(101)]
    assert values.index(max(values)) == 10
    assert values[:11] == sorted(values[:11])
    assert values[10:] == sorted(values[10:], reverse=True)


@pytest.mark.parametrize(("warmup", "peak"), [("20%", 20), ("3 epochs", 30), ("7 steps", 7), ("0.5 epochs", 5)])
def test_a_warm_up_has_steps_epochs_or_a_share(warmup: str, peak: int) -> None:
    values = [rate(step, warmup=warmup) for step in range(101)]
    assert values.index(max(values)) == peak


def test_after_the_end_it_stays_at_the_floor() -> None:
    assert rate(500) == pytest.approx(0.001)


def test_without_a_warm_up_it_starts_at_the_peak() -> None:
    assert rate(0, warmup="0%") == pytest.approx(0.1)
    assert rate(50, warmup="0 steps", floor=0.0) == pytest.approx(0.05)


@pytest.mark.parametrize("options", [{"total_steps": 1}, {"total_steps": 1, "warmup": "100%"}, {"warmup": "100%"}])
def test_the_shortest_trainings_have_a_rate(options: dict[str, Any]) -> None:
    assert all(0 <= rate(step, **options) <= 0.1 + 1e-7 for step in range(3))


@pytest.mark.parametrize(("warmup", "steps"), [("101 steps", 101), ("11 epochs", 110)])
def test_a_warm_up_longer_than_what_it_leads_into_is_refused(warmup: str, steps: int) -> None:
    said = rf"schedule\.warmup={warmup}, {steps} steps of 100\. Override: schedule\.warmup=10%"
    with pytest.raises(ConfigError, match=said):
        rate(0, warmup=warmup)


@pytest.mark.parametrize("warmup", ["0.1", "soon", "-1 epochs", "5 minutes", "120%", "1.5 steps"])
def test_a_warm_up_that_is_no_duration_is_refused(warmup: str) -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup: should be a duration such as 200 steps, 3 epochs, 10%"):
        rate(0, warmup=warmup)


@pytest.mark.parametrize("floor", [-0.1, 1.5])
def test_a_floor_is_a_share_of_the_peak(floor: float) -> None:
    with pytest.raises(ConfigError, match=rf"schedule\.floor=.*{floor}"):
        rate(0, floor=floor)
    with pytest.raises(ConfigError, match=rf"schedule\.floor=.*{floor}"):
        cycle(0, floor=floor)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (0, 0.02),
        (20, 0.06),  # half way up from 0.02 to 0.1
        (40, 0.1),
        (60, 0.06),
        (80, 0.02),
        (90, 0.0105),  # half way from 0.02 to 0.001
        (100, 0.001),
        (500, 0.001),
    ],
)
def test_one_cycle_goes_up_down_and_to_its_floor(step: int, value: float) -> None:
    assert cycle(step) == pytest.approx(value, rel=1e-5)


def test_one_cycle_in_epochs() -> None:
    values = [cycle(step, climb="3 epochs") for step in range(101)]
    assert values.index(max(values)) == 30
    assert cycle(60, climb="3 epochs") == pytest.approx(0.02)


def test_one_cycle_without_a_way_up_falls_to_its_floor() -> None:
    assert [cycle(step, climb="0%") for step in (0, 50, 100)] == pytest.approx([0.1, 0.0505, 0.001])


@pytest.mark.parametrize("total", [1, 2, 3, 99])
def test_half_up_and_half_down_fits_whatever_the_number_of_steps(total: int) -> None:
    assert all(0 < cycle(step, climb="50%", total_steps=total) <= 0.1 + 1e-7 for step in range(total + 1))


@pytest.mark.parametrize(("climb", "twice"), [("60%", 60), ("6 epochs", 60)])
def test_up_and_down_longer_than_the_training_are_refused(climb: str, twice: int) -> None:
    said = rf"schedule\.climb={climb}, twice {twice} steps of 100\. Override: schedule\.climb=45%"
    with pytest.raises(ConfigError, match=said):
        cycle(0, climb=climb)


def test_a_start_is_a_share_of_the_peak() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.start=2"):
        cycle(0, start=2)


def test_one_cycle_is_the_same_after_it_was_saved() -> None:
    made = one_cycle(**LENGTHS)
    again = type(made).from_config(made.get_config())
    steps = range(0, 120, 7)
    assert [float(again(step)) for step in steps] == [float(made(step)) for step in steps]


def test_an_optimizer_follows_it() -> None:
    weight = keras.Variable(np.ones(1))
    optimizer = keras.optimizers.SGD(one_cycle(**{**LENGTHS, "climb": "40%", "start": 0.2}))
    for _ in range(40):
        optimizer.apply([keras.ops.zeros(1)], [weight])
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_a_rate_that_a_plateau_lowers_may_be_set() -> None:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    network.compile(loss="mse", optimizer=keras.optimizers.SGD(constant(**{**LENGTHS, "learning_rate": 1e-9})))
    fall = keras.callbacks.ReduceLROnPlateau(monitor="loss", mode="min", factor=0.5, patience=1, min_lr=0)
    history = network.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=4, callbacks=[fall], verbose=0).history
    assert history["learning_rate"][-1] < history["learning_rate"][0]
