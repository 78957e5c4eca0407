from __future__ import annotations

from typing import Any

import pytest

from medexp.errors import ConfigError
from medexp.training.duration import Duration


def parse(text: Any, **options: Any) -> Duration:
    return Duration.parse(text, key="schedule.warmup", **options)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("200 steps", Duration(200, "step")),
        ("1 step", Duration(1, "step")),
        ("3 epochs", Duration(3, "epoch")),
        ("0.5 epochs", Duration(0.5, "epoch")),
        ("10%", Duration(10, "%")),
        ("12.5 %", Duration(12.5, "%")),
        (" 0% ", Duration(0, "%")),
        ("200steps", Duration(200, "step")),
    ],
)
def test_text_is_an_amount_and_a_unit(text: str, duration: Duration) -> None:
    assert parse(text) == duration


@pytest.mark.parametrize("text", ["200 steps", "3 epochs", "1 epoch", "0.5 epochs", "12.5%"])
def test_it_is_written_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "10", 0.1, None, "ten steps", "-3 epochs", "3 years", "1.5 steps", "101%", "3 epochs 2 steps", "1e3 steps"],
)
def test_what_is_no_duration_is_refused_with_examples(text: Any) -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup: should be a duration such as 200 steps, 3 epochs, 10%"):
        parse(text)


def test_only_the_units_that_make_sense_are_taken() -> None:
    assert parse("5 minutes", units=("step", "minute", "second")) == Duration(5, "minute")
    with pytest.raises(ConfigError, match=r"such as 200 steps, 5 minutes\. Received: '10%'"):
        parse("10%", units=("step", "minute"))
    with pytest.raises(ConfigError, match="Received: '5 minutes'"):
        parse("5 minutes")


@pytest.mark.parametrize(
    ("text", "steps"), [("200 steps", 200), ("3 epochs", 30), ("0.25 epochs", 2), ("10%", 12), ("0%", 0), ("100%", 120)]
)
def test_steps(text: str, steps: int) -> None:
    assert parse(text).steps(total_steps=120, steps_per_epoch=10) == steps


@pytest.mark.parametrize(
    ("text", "epochs"),
    [("3 epochs", 3), ("0.5 epochs", 1), ("25 steps", 3), ("30 steps", 3), ("50%", 6), ("1%", 1), ("0%", 1)],
)
def test_whole_epochs(text: str, epochs: int) -> None:
    assert parse(text).epochs(total_epochs=12, steps_per_epoch=10) == epochs


def test_a_time_has_seconds_and_no_steps() -> None:
    minutes = parse("1.5 minutes", units=("minute", "second"))
    assert minutes.seconds == 90
    assert parse("30 seconds", units=("minute", "second")).seconds == 30
    assert parse("3 epochs").seconds is None
    with pytest.raises(ValueError, match=r"1\.5 minutes is a time"):
        minutes.steps(total_steps=10, steps_per_epoch=10)
