from __future__ import annotations

import pytest
from evaluated import around

from medexp.evaluation.evidence import Corrupted, RobustnessSection
from medexp.evaluation.report.grids import first_break, robustness_grids
from medexp.types import Estimate

CLEAN = {"auc": around(0.9), "sensitivity": around(0.9), "brier": around(0.1)}


def section(*corrupted: Corrupted) -> RobustnessSection:
    return RobustnessSection(100, CLEAN, corrupted)


def test_a_grid_for_each_metric_that_is_better_the_higher_it_is() -> None:
    worse = {"auc": around(0.75), "sensitivity": around(0.2), "brier": around(0.4)}
    auc, sensitivity = robustness_grids(section(Corrupted("noise", 2, worse), Corrupted("blur", 1, {})), task="binary")
    assert (auc.metric.title, sensitivity.metric.title) == ("AUC", "Sensitivity")
    assert auc.severities == (1, 2)
    noise, blur = auc.rows
    assert (noise.corruption, blur.corruption) == ("noise", "blur")
    assert noise.cells[0] is None
    assert noise.cells[1] is not None
    assert noise.cells[1].estimate == worse["auc"]
    assert noise.cells[1].shade == pytest.approx(0.5)
    assert blur.cells == (None, None)
    assert sensitivity.rows[0].cells[1].shade == 1.0  # type: ignore[union-attr]


def test_a_metric_that_is_not_defined_has_no_shade() -> None:
    nan = float("nan")
    (auc, _) = robustness_grids(section(Corrupted("noise", 1, {"auc": Estimate(nan, nan, nan)})), task="binary")
    assert auc.rows[0].cells[0].shade == 0.0  # type: ignore[union-attr]


def test_it_breaks_where_the_lowest_severity_takes_most() -> None:
    found = first_break(
        section(
            Corrupted("noise", 3, {"auc": around(0.1)}),
            Corrupted("blur", 2, {"auc": around(0.7), "sensitivity": around(0.4)}),
            Corrupted("jpeg", 2, {"auc": around(0.75), "sensitivity": around(0.75)}),
            Corrupted("brightness", 1, {"auc": around(0.85), "brier": around(0.5)}),
        ),
        task="binary",
    )
    assert found is not None
    assert (found.corruption, found.severity, found.metric.title) == ("blur", 2, "Sensitivity")
    assert (found.clean, found.worse) == (CLEAN["sensitivity"], around(0.4))


def test_a_fall_that_may_be_chance_is_none() -> None:
    assert first_break(section(Corrupted("noise", 1, {"auc": Estimate(0.6, 0.2, 0.95)})), task="binary") is None
    assert first_break(section(), task="binary") is None
