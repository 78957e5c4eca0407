from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.decision.operating_point import OperatingPoint
from medexp.evaluation.decision_curve import decision_curves, draw_decision_curve
from medexp.evaluation.evidence import OperatingSection
from medexp.evaluation.predictions import Predictions


def binary(labels: list[int], scores: list[float]) -> Predictions:
    positive = np.array(scores)
    rows = np.stack([1 - positive, positive], axis=1)
    return Predictions("test", tuple(map(str, labels)), np.array(labels), rows, ("no", "yes"), "binary")


def test_a_worked_example() -> None:
    curve = decision_curves(binary([0, 0, 0, 1, 1], [0.1, 0.3, 0.6, 0.2, 0.9]))["yes"]
    at = {round(point.threshold, 2): point for point in curve}
    assert len(curve) == 99
    assert at[0.25].model == pytest.approx(1 / 5 - 2 / 5 / 3)  # one of two is found, two of three are false alarms
    assert at[0.25].all == pytest.approx(2 / 5 - 3 / 5 / 3)
    assert at[0.5].model == pytest.approx(1 / 5 - 1 / 5)
    assert at[0.8].model == pytest.approx(1 / 5)
    assert at[0.8].all == pytest.approx(2 / 5 - 3 / 5 * 4)
    assert at[0.95].model == 0


def test_a_score_at_the_threshold_is_acted_on() -> None:
    curve = decision_curves(binary([0, 1], [0.2, 0.5]))["yes"]
    assert curve[49].model == pytest.approx(1 / 2)
    assert curve[50].model == 0


def test_every_class_with_both_answers_has_a_curve_and_grades_have_cut_points() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    labels = np.random.default_rng(1).integers(0, 2, (30, 3))
    labels[:, 2] = 0
    findings = Predictions("test", tuple(map(str, range(30))), labels, rows, ("a", "b", "c"), "multilabel")
    assert list(decision_curves(findings)) == ["a", "b"]
    one = replace(findings, labels=np.arange(30) % 3, task="multiclass")
    assert list(decision_curves(one)) == ["a", "b", "c"]
    assert list(decision_curves(replace(one, task="ordinal"))) == ["> a", "> b"]


@pytest.mark.parametrize("classes", [1, 2, 6])
@pytest.mark.filterwarnings("error")
def test_the_curves_are_drawn_with_the_chosen_thresholds(classes: int, tmp_path: Path) -> None:
    curve = decision_curves(binary([0, 0, 0, 1, 1], [0.1, 0.3, 0.6, 0.2, 0.9]))["yes"]
    names = ["yes", "a name that is far too long for a panel", *map(str, range(4))][:classes]
    pictures = []
    for threshold in (0.3, 0.6):
        chosen = OperatingPoint("youden", {"yes": threshold})
        path = tmp_path / "new" / "a.png"
        draw_decision_curve(OperatingSection(chosen, {}, curve=dict.fromkeys(names, curve)), path)
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    assert (pictures[0] != pictures[1]).any()
    assert 0.005 < (pictures[0] < 200).any(axis=2).mean() < 0.5
