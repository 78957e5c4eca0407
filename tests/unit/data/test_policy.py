"""What a data set allows: refused with every reason, or dropped on request."""

from __future__ import annotations

import logging

import keras
import pytest

from medexp.data.augmentation import randaugment, standard
from medexp.data.policy import Policy, allowed
from medexp.errors import ConfigError
from medexp.types import Invariances

LEFT_RIGHT = Invariances(laterality="matters")
UPRIGHT = Invariances(orientation="fixed")
CALIBRATED = Invariances(intensity="calibrated")
STAINED = Invariances(colour="diagnostic")
L = keras.layers


class Unknown(keras.layers.Layer):
    """Of a user, who says nothing."""


class Says(keras.layers.Layer):
    """Of a user, who says what it changes."""

    def __init__(self, *changes: str) -> None:
        super().__init__(name="says")
        self.changes = changes


def names(layers: tuple[keras.layers.Layer, ...]) -> list[str]:
    return [layer.name for layer in layers]


def refusal(policy: object, invariances: Invariances) -> str:
    with pytest.raises(ConfigError) as error:
        allowed(policy, invariances)  # type: ignore[arg-type]
    return str(error.value)


def test_without_a_declared_invariance_everything_is_allowed() -> None:
    policy = standard(name="p", flip="horizontal_and_vertical", rotation=0.5, brightness=0.5, mixup=1.0)
    assert allowed(policy, Invariances()) == policy.layers
    assert allowed([Unknown()], Invariances())


@pytest.mark.parametrize(
    ("policy", "invariances", "broken"),
    [
        ({"flip": "horizontal"}, LEFT_RIGHT, "flip_horizontal breaks laterality"),
        ({"flip": "vertical"}, LEFT_RIGHT, "flip_vertical breaks laterality"),
        ({"flip": "vertical"}, UPRIGHT, "flip_vertical breaks orientation"),
        ({"rotation": 0.1}, UPRIGHT, "geometry breaks orientation: it rotates by up to 36 degrees; 30 are allowed"),
        ({"brightness": 0.1}, CALIBRATED, "brightness breaks intensity"),
        ({"contrast": 0.1}, CALIBRATED, "contrast breaks intensity"),
        ({"mixup": 0.2}, CALIBRATED, "mixup breaks intensity"),
        ({"mixup": 0.2}, STAINED, "mixup breaks colour"),
        ({"gamma": 0.2}, CALIBRATED, "gamma breaks intensity"),
        ({"gamma": 0.2}, STAINED, "gamma breaks colour"),
    ],
)
def test_a_step_that_breaks_an_invariance_is_refused(
    policy: dict[str, object], invariances: Invariances, broken: str
) -> None:
    assert broken in refusal(standard(name="p", **policy), invariances)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "invariances"),
    [
        ({"flip": "horizontal"}, UPRIGHT),
        ({"rotation": 1 / 12, "translation": 0.1, "zoom": 0.2, "elastic": 0.05}, Invariances("matters", "fixed")),
        ({"rotation": 0.5}, CALIBRATED),
        ({"noise": 0.1}, CALIBRATED),
        ({"cutmix": 1.0}, Invariances("matters", "fixed", "calibrated", "diagnostic")),
        ({"brightness": 0.1, "contrast": 0.1, "noise": 0.1}, STAINED),
    ],
)
def test_a_step_that_breaks_none_is_allowed(policy: dict[str, object], invariances: Invariances) -> None:
    steps = standard(name="p", **policy)  # type: ignore[arg-type]
    assert allowed(steps, invariances) == steps.layers


def test_a_refusal_names_every_step_the_facts_and_the_overrides() -> None:
    policy = standard(name="mine", flip="horizontal", brightness=0.1)
    text = refusal(policy, Invariances(laterality="matters", intensity="calibrated"))
    assert "The augmentation mine changes" in text
    assert "1. flip_horizontal breaks laterality" in text
    assert "2. brightness breaks intensity" in text
    assert "Received: data.invariances.laterality=matters, data.invariances.intensity=calibrated" in text
    for override in (
        "augmentation.flip=null, or data.invariances.laterality=free",
        "augmentation.brightness=0, or data.invariances.intensity=free",
        "augmentation.on_conflict=drop",
    ):
        assert override in text


def test_dropping_leaves_the_other_steps_and_says_what_went(caplog: pytest.LogCaptureFixture) -> None:
    policy = standard(name="p", flip="horizontal", translation=0.1, brightness=0.1, noise=0.1, on_conflict="drop")
    with caplog.at_level(logging.WARNING):
        left = allowed(policy, Invariances(laterality="matters", intensity="calibrated"))
    assert names(left) == ["geometry", "noise"]
    assert "left out flip_horizontal breaks laterality" in caplog.text
    assert "left out brightness breaks intensity" in caplog.text


def test_dropping_a_rotation_keeps_the_shift() -> None:
    (left,) = allowed(standard(name="p", rotation=0.5, translation=0.1, moved=0.5, on_conflict="drop"), UPRIGHT)
    assert (left.rotation, left.translation, left.share) == (0.0, 0.1, 0.5)


def test_dropping_all_that_a_step_does_drops_the_step() -> None:
    assert allowed(standard(name="p", rotation=0.5, on_conflict="drop"), UPRIGHT) == ()


def test_operations_to_choose_from_are_dropped_one_by_one() -> None:
    (left,) = allowed(randaugment(name="p", on_conflict="drop"), CALIBRATED)
    assert names(tuple(left.operations)) == ["rotation", "translation", "shear"]


def test_a_refusal_of_operations_says_which_ones_may_stay() -> None:
    text = refusal(randaugment(name="p"), CALIBRATED)
    assert "operations brightness, contrast, colour do" in text
    assert "augmentation.operations=[rotation,translation,shear]" in text


def test_a_layer_that_says_nothing_is_refused_even_where_conflicts_are_dropped() -> None:
    for policy in ([Unknown()], Policy("p", (Unknown(),), "drop")):
        text = refusal(policy, LEFT_RIGHT)
        assert "(Unknown) does not say what it changes" in text
        assert "attribute `changes`" in text


@pytest.mark.parametrize("layer", [Says("intensity"), Says("laterality", "intensity")], ids=["one", "two"])
def test_a_layer_that_says_what_it_changes_is_refused_for_that_alone(layer: keras.layers.Layer) -> None:
    assert "says breaks intensity" in refusal([layer], CALIBRATED)
    assert allowed([layer], UPRIGHT) == (layer,)


def test_layers_alone_are_refused_without_a_word_of_dropping_which_they_cannot() -> None:
    assert "on_conflict" not in refusal([L.RandomFlip("horizontal")], LEFT_RIGHT)


def test_a_layer_that_says_it_changes_nothing_is_allowed_everywhere() -> None:
    assert len(allowed([Says()], Invariances("matters", "fixed", "calibrated", "diagnostic"))) == 1


def test_a_fact_that_there_is_not_is_an_error() -> None:
    assert "Unknown fact. Received: 'color'" in refusal([Says("color")], STAINED)


@pytest.mark.parametrize(
    ("layer", "invariances"),
    [
        (lambda: L.RandomHue(0.1), STAINED),
        (lambda: L.RandomSaturation(0.1), STAINED),
        (lambda: L.RandomColorJitter(), STAINED),
        (lambda: L.RandomGrayscale(), STAINED),
        (lambda: L.RandomInvert(), CALIBRATED),
        (lambda: L.Solarization(), CALIBRATED),
        (lambda: L.Equalization(), CALIBRATED),
        (lambda: L.RandomRotation(0.2), UPRIGHT),
        (lambda: L.RandAugment(), UPRIGHT),
        (lambda: L.RandomFlip("horizontal"), LEFT_RIGHT),
    ],
)
def test_layers_of_keras_are_known(layer: object, invariances: Invariances) -> None:
    assert "breaks" in refusal([layer()], invariances)  # type: ignore[operator]


def test_a_small_rotation_of_keras_is_allowed() -> None:
    assert len(allowed([L.RandomRotation(0.05), L.RandomTranslation(0.1, 0.1)], UPRIGHT)) == 2
