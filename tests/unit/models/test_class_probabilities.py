"""From what a network says to a probability for each class."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medexp.models.class_probabilities import class_probabilities
from medexp.models.head import classification_head
from medexp.types import DataSpec, InputSpec, Task


def said(task: Task, outputs: list[list[float]]) -> np.ndarray:
    """The class probabilities where a network has said `outputs`."""
    given = keras.Input((len(outputs[0]),))
    network = keras.Model(given, keras.layers.Identity()(given))
    return np.asarray(class_probabilities(network, task=task)(np.array(outputs, np.float32)))


@pytest.mark.parametrize(
    ("task", "outputs", "classes"),
    [
        ("binary", [[0.25]], [[0.75, 0.25]]),
        ("multiclass", [[0.5, 0.25, 0.25]], [[0.5, 0.25, 0.25]]),
        ("multilabel", [[0.5, 0.75, 0.875]], [[0.5, 0.75, 0.875]]),
        ("multilabel", [[0.5]], [[0.5]]),
        ("ordinal", [[0.75, 0.5, 0.125]], [[0.25, 0.25, 0.375, 0.125]]),
        ("ordinal", [[0.75]], [[0.25, 0.75]]),
        ("ordinal", [[1.0, 1.0]], [[0.0, 0.0, 1.0]]),
        ("ordinal", [[0.0, 0.0]], [[1.0, 0.0, 0.0]]),
    ],
)
def test_what_a_network_says_becomes_a_probability_for_each_class(
    task: Task, outputs: list[list[float]], classes: list[list[float]]
) -> None:
    assert said(task, outputs).tolist() == classes


def test_a_rise_by_a_rounding_gives_no_negative_probability() -> None:
    assert (said("ordinal", [[0.5, 0.50000006]]) >= 0).all()


def test_what_is_not_a_number_stays_visible() -> None:
    assert np.isnan(said("ordinal", [[0.5, float("nan")]])).any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-200, 200, width=32), min_size=4, max_size=4))
def test_cumulative_probabilities_never_rise_and_those_of_grades_add_up_however_sure(logits: list[float]) -> None:
    spec = DataSpec("d", "ordinal", tuple("abcde"), InputSpec(1, 1, 4), {}, "", "")
    image = keras.Input((1, 1, 4))
    network = keras.Model(image, classification_head(image, spec, dropout=0.0))
    network.get_layer("conditional").set_weights([np.eye(4), np.zeros(4)])
    pixels = np.array(logits, np.float32).reshape(1, 1, 1, 4)
    above = np.asarray(network(pixels), np.float64)[0]
    wanted = np.cumprod(1 / (1 + np.exp(-np.array(logits, np.float64))))
    assert above == pytest.approx(wanted, abs=1e-5)
    assert (np.diff(above) <= 0).all()
    grades = np.asarray(class_probabilities(network, task="ordinal")(pixels))[0]
    assert grades.sum() == pytest.approx(1, abs=1e-6)
    assert (grades >= 0).all()
