from __future__ import annotations

import math

import pytest

from medexp.training.schedules import constant, cosine


def rate(step: int, **options: float) -> float:
    return float(cosine(**{"learning_rate": 0.1, "total_steps": 100, "warmup": 0.1, "floor": 0.01, **options})(step))


def test_a_constant_rate_is_the_peak() -> None:
    assert constant(learning_rate=0.1, total_steps=5) == 0.1


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


def test_after_the_end_it_stays_at_the_floor() -> None:
    assert rate(500) == pytest.approx(0.001)


def test_without_a_warm_up_it_starts_at_the_peak() -> None:
    assert rate(0, warmup=0.0) == pytest.approx(0.1)
    assert rate(50, warmup=0.0, floor=0.0) == pytest.approx(0.05)


@pytest.mark.parametrize("options", [{"total_steps": 1}, {"total_steps": 1, "warmup": 1.0}, {"warmup": 1.0}])
def test_the_shortest_trainings_have_a_rate(options: dict[str, float]) -> None:
    assert all(0 <= rate(step, **options) <= 0.1 + 1e-7 for step in range(3))
