from __future__ import annotations

from medexp.sweep.brief import brief


def test_long_numbers_are_short_and_nothing_else_changes() -> None:
    chosen = [
        "optimizer.learning_rate=0.0006318347021780095",
        "model=resnet_small",
        "~x",
        "a=1e-5",
        "b='a=0.123456789'",
    ]
    assert brief(chosen) == "optimizer.learning_rate=0.0006318 model=resnet_small ~x a=1e-5 b='a=0.123456789'"
