from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medexp.errors import DataError
from medexp.evaluation.predictions import Predictions


def predictions(scores: np.ndarray, names: tuple[str, str] = ("no", "yes")) -> Predictions:
    keys = tuple(f"images/{i}.png" for i in range(len(scores)))
    labels = np.arange(len(scores)) % 2
    return Predictions("test", keys, labels, np.stack([1 - scores, scores], axis=1), names, "binary")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@given(arrays(np.float32, st.integers(1, 30), elements=st.floats(0, 1, width=32)))
def test_probabilities_come_back_from_the_file_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, scores: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("predictions") / "test.csv"
    predictions(scores).write(path, thresholds={})
    read = np.array([np.float32(row["p(yes)"]) for row in rows(path)], np.float32)
    assert read.tobytes() == scores.tobytes()


def test_each_row_names_image_label_decision_and_probabilities(tmp_path: Path) -> None:
    predictions(np.array([0.25, 0.75], np.float32)).write(tmp_path / "test.csv", thresholds={"yes": 0.2})
    assert rows(tmp_path / "test.csv") == [
        {"image": "images/0.png", "label": "no", "decision": "yes", "p(no)": "0.75", "p(yes)": "0.25"},
        {"image": "images/1.png", "label": "yes", "decision": "yes", "p(no)": "0.25", "p(yes)": "0.75"},
    ]


def test_names_with_commas_and_quotes_survive(tmp_path: Path) -> None:
    predictions(np.array([0.25, 0.75], np.float32), ('a, "b"', "c")).write(tmp_path / "test.csv", thresholds={})
    assert [row["label"] for row in rows(tmp_path / "test.csv")] == ['a, "b"', "c"]


@pytest.mark.parametrize(("threshold", "decided"), [(None, [0, 0, 1]), (0.5, [0, 1, 1]), (0.2, [1, 1, 1])])
def test_decisions_are_by_threshold_or_the_most_probable_class(threshold: float | None, decided: list[int]) -> None:
    assert (
        predictions(np.array([0.25, 0.5, 0.75])).decisions({} if threshold is None else {"yes": threshold}).tolist()
        == decided
    )


def test_the_score_is_the_probability_of_the_second_class() -> None:
    assert predictions(np.array([0.25, 0.75])).scores.tolist() == [0.25, 0.75]


FINDINGS = Predictions(
    "val",
    ("a", "b"),
    np.array([[1, 0], [0, 0]]),
    np.array([[0.5, 0.25], [0.25, 0.75]]),
    ("mass", "edema"),
    "multilabel",
)


def test_each_finding_is_decided_by_its_own_threshold() -> None:
    assert FINDINGS.decisions({"mass": 0.5, "edema": 0.8}).tolist() == [[1, 0], [0, 0]]
    assert FINDINGS.decisions({"mass": 0.2, "edema": 0.25}).tolist() == [[1, 1], [1, 1]]


def test_a_row_of_findings_names_label_and_decision_of_each(tmp_path: Path) -> None:
    FINDINGS.write(tmp_path / "val.csv", thresholds={"mass": 0.4, "edema": 0.1})
    assert rows(tmp_path / "val.csv")[0] == {
        "image": "a",
        "label(mass)": "1",
        "label(edema)": "0",
        "decision(mass)": "1",
        "decision(edema)": "1",
        "p(mass)": "0.5",
        "p(edema)": "0.25",
    }


def test_metadata_stands_beside_each_image_even_under_a_name_that_is_taken(tmp_path: Path) -> None:
    found = predictions(np.array([0.25, 0.75], np.float32))
    told = replace(found, metadata={"site": ("A", ""), "label": ("007", "x,y")}, groups=("07", "7"))
    told.write(tmp_path / "test.csv", thresholds={})
    assert [(row["meta(site)"], row["meta(label)"], row["label"]) for row in rows(tmp_path / "test.csv")] == [
        ("A", "007", "no"),
        ("", "x,y", "yes"),
    ]
    read = Predictions.read(tmp_path / "test.csv", "test", class_names=("no", "yes"), task="binary")
    assert (read.groups, read.metadata) == (told.groups, told.metadata)


def test_the_most_probable_grade_is_decided() -> None:
    grades = Predictions("val", ("a",), np.array([2]), np.array([[0.3, 0.3, 0.4]]), ("x", "y", "z"), "ordinal")
    assert grades.decisions({}).tolist() == [2]


def test_some_images_are_taken_with_all_that_belongs_to_them() -> None:
    whole = replace(
        predictions(np.array([0.25, 0.75, 0.1])), groups=("a", "b", "c"), metadata={"site": ("x", "y", "z")}
    )
    for rows in (np.array([2, 0]), np.array([True, False, True])):
        some = whole.take(rows)
        order = [2, 0] if rows.dtype != bool else [0, 2]
        assert some.keys == tuple(f"images/{i}.png" for i in order)
        assert some.groups == tuple("abc"[i] for i in order)
        assert some.metadata == {"site": tuple("xyz"[i] for i in order)}
        assert some.labels.tolist() == [i % 2 for i in order]
        assert some.probabilities[:, 1].tolist() == [[0.25, 0.75, 0.1][i] for i in order]


@pytest.mark.parametrize("names", [("no", "yes"), ("0", "01"), ('a, "b"', "nan")])
def test_what_was_written_is_read(names: tuple[str, str], tmp_path: Path) -> None:
    written = predictions(np.array([0.25, 0.75, 0.1], np.float32), names)
    written.write(tmp_path / "test.csv", thresholds={})
    read = Predictions.read(tmp_path / "test.csv", "test", class_names=names, task="binary")
    assert read.keys == written.keys
    assert read.labels.tolist() == written.labels.tolist()
    assert read.probabilities.tobytes() == written.probabilities.tobytes()
    FINDINGS.write(tmp_path / "val.csv", thresholds={"mass": 0.4, "edema": 0.1})
    again = Predictions.read(tmp_path / "val.csv", "val", class_names=FINDINGS.class_names, task="multilabel")
    assert again.labels.tolist() == FINDINGS.labels.tolist()


def test_predictions_of_other_classes_are_refused(tmp_path: Path) -> None:
    predictions(np.array([0.25], np.float32)).write(tmp_path / "test.csv", thresholds={})
    for names in (("no", "maybe"), ("yes", "no", "perhaps")):
        with pytest.raises(DataError, match=r"cannot be read.*test\.csv"):
            Predictions.read(tmp_path / "test.csv", "test", class_names=names, task="binary")
