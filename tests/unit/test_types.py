from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medexp.types import DataSpec, FitResult, InputSpec, Objective, RunResult, digest_of

INPUT = InputSpec(height=32, width=48, channels=1)


def spec(*names: str) -> DataSpec:
    task = "binary" if len(names) == 2 else "multiclass"
    return DataSpec(name="d", task=task, class_names=names, input=INPUT, counts={}, digest="", source="")


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert digest_of(dict(reversed(value.items()))) == digest_of(value)


def test_a_digest_does_not_depend_on_the_order_of_nested_keys() -> None:
    assert digest_of({"a": [{"x": 1, "y": 2}]}) == digest_of({"a": [{"y": 2, "x": 1}]})


@pytest.mark.parametrize("other", [{"a": [2, 1]}, {"a": [1, 2, 3]}, {"b": [1, 2]}, {"a": ["1", "2"]}])
def test_a_digest_depends_on_keys_values_and_the_order_of_lists(other: dict[str, object]) -> None:
    assert digest_of(other) != digest_of({"a": [1, 2]})


def test_a_digest_is_the_same_in_every_process() -> None:
    assert digest_of({"a": 1}) == "015abd7f5cc57a2d"


@pytest.mark.parametrize(
    "change",
    [
        {"height": 33},
        {"width": 49},
        {"channels": 3},
        {"fit": "stretch"},
        {"intensity": "full"},
        {"window": (40, 400)},
        {"percentiles": (1, 99)},
        {"frame": 0},
        {"bits": 16},
    ],
)
def test_the_digest_of_the_preprocessing_changes_with_every_field(change: dict[str, object]) -> None:
    assert dataclasses.replace(INPUT, **change).digest != INPUT.digest


def test_all_fields_of_the_input_are_in_the_test_of_its_digest() -> None:
    tested = {"height", "width", "channels", "fit", "intensity", "window", "percentiles", "frame", "bits"}
    assert {field.name for field in dataclasses.fields(InputSpec)} == tested


def test_the_shape_of_an_input_is_height_width_channels() -> None:
    assert INPUT.shape == (32, 48, 1)


@pytest.mark.parametrize(
    ("mode", "a", "b", "better"),
    [
        ("max", 0.9, 0.8, True),
        ("max", 0.8, 0.9, False),
        ("max", 0.9, 0.9, False),
        ("min", 0.8, 0.9, True),
        ("min", 0.9, 0.8, False),
        ("min", 0.9, 0.9, False),
        ("max", float("nan"), 0.1, False),
        ("min", float("nan"), 0.1, False),
    ],
)
def test_an_objective_compares_in_its_direction(mode: str, a: float, b: float, better: bool) -> None:
    assert Objective("val_auc", mode).better(a, b) is better


def test_a_binary_task_has_one_output_and_its_second_class_is_positive() -> None:
    assert (spec("normal", "sick").outputs, spec("normal", "sick").positive) == (1, "sick")


def test_a_multiclass_task_has_an_output_per_class_and_no_positive_one() -> None:
    assert (spec("a", "b", "c").outputs, spec("a", "b", "c").positive) == (3, None)


def test_the_best_epoch_counts_from_one() -> None:
    fit = FitResult(history=({"loss": 3.0}, {"loss": 1.0}), best_epoch=2, best_weights=Path("w"), seconds=1)
    assert fit.best == {"loss": 1.0}


def test_the_score_of_a_run_is_its_objective() -> None:
    result = RunResult(
        run_id="r",
        run_dir=Path("r"),
        objective=Objective("val_auc", "max"),
        best_epoch=1,
        epochs=1,
        metrics={"val_auc": 0.75, "val_loss": 0.1},
        data=spec("a", "b"),
        bundle=Path("b"),
        model_uri=None,
        seconds=1,
    )
    assert result.score == 0.75
