from __future__ import annotations

import pytest

from medexp.errors import ConfigError, DataError, MedexpError, RegistryError, TrackingError, TrainingError, unknown


@pytest.mark.parametrize("kind", [ConfigError, DataError, TrainingError, TrackingError, RegistryError])
def test_every_user_error_is_a_medexp_error(kind: type[Exception]) -> None:
    with pytest.raises(MedexpError):
        raise kind("text")


def test_an_unknown_choice_names_what_was_received_and_what_there_is_in_order() -> None:
    assert unknown("policy", "xyz", ["strong", "light"]) == (
        "Unknown policy. Received: 'xyz'. Available: light, strong."
    )


def test_an_unknown_choice_suggests_the_nearest() -> None:
    assert unknown("policy", "strnog", ["strong", "light"]).endswith("Did you mean 'strong'?")


def test_an_unknown_choice_that_is_no_text_is_described_too() -> None:
    assert "Received: 7" in unknown("policy", 7, ["light"])
