"""P values of several tests at once."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from medexp.evaluation.comparison.holm import holm


@pytest.mark.parametrize("count", [1, 2, 7, 190])
def test_adjusted_p_values_are_those_of_statsmodels(count: int) -> None:
    p_values = np.random.default_rng(count).random(count) ** 3
    p_values[0] = p_values[-1]  # ties
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_the_smallest_is_multiplied_by_how_many_there_are_and_none_is_above_one() -> None:
    assert holm([0.04, 0.01, 0.9]) == pytest.approx((0.08, 0.03, 0.9))


def test_no_tests_are_no_p_values() -> None:
    assert holm([]) == ()
