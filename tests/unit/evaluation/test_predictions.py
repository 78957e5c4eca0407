from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medexp.evaluation.predictions import Predictions


def predictions(scores: np.ndarray, names: tuple[str, str] = ("no", "yes")) -> Predictions:
    keys = tuple(f"images/{i}.png" for i in range(len(scores)))
    labels = np.arange(len(scores)) % 2
    return Predictions("test", keys, labels, np.stack([1 - scores, scores], axis=1), names)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@given(arrays(np.float32, st.integers(1, 30), elements=st.floats(0, 1, width=32)))
def test_probabilities_come_back_from_the_file_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, scores: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("predictions") / "test.csv"
    predictions(scores).write(path, threshold=None)
    read = np.array([np.float32(row["p(yes)"]) for row in rows(path)], np.float32)
    assert read.tobytes() == scores.tobytes()


def test_each_row_names_image_label_decision_and_probabilities(tmp_path: Path) -> None:
    predictions(np.array([0.25, 0.75], np.float32)).write(tmp_path / "test.csv", threshold=0.2)
    assert rows(tmp_path / "test.csv") == [
        {"image": "images/0.png", "label": "no", "decision": "yes", "p(no)": "0.75", "p(yes)": "0.25"},
        {"image": "images/1.png", "label": "yes", "decision": "yes", "p(no)": "0.25", "p(yes)": "0.75"},
    ]


def test_names_with_commas_and_quotes_survive(tmp_path: Path) -> None:
    predictions(np.array([0.25, 0.75], np.float32), ('a, "b"', "c")).write(tmp_path / "test.csv", threshold=None)
    assert [row["label"] for row in rows(tmp_path / "test.csv")] == ['a, "b"', "c"]


@pytest.mark.parametrize(("threshold", "decided"), [(None, [0, 0, 1]), (0.5, [0, 1, 1]), (0.2, [1, 1, 1])])
def test_decisions_are_by_threshold_or_the_most_probable_class(threshold: float | None, decided: list[int]) -> None:
    assert predictions(np.array([0.25, 0.5, 0.75])).decisions(threshold).tolist() == decided


def test_the_score_is_the_probability_of_the_second_class() -> None:
    assert predictions(np.array([0.25, 0.75])).scores.tolist() == [0.25, 0.75]
