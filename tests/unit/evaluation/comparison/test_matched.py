"""Shares of the same images."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from medexp.evaluation.comparison.matched import Discordant, discordant


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 7), (0, 0), (5, 5), (12, 30), (86, 150), (0, 9)])
def test_the_p_value_is_the_exact_one_of_statsmodels(only_a: int, only_b: int) -> None:
    table = [[400, only_a], [only_b, 100]]
    expected = mcnemar(table, exact=True).pvalue
    assert Discordant(only_a, only_b, 500 + only_a + only_b).p_value == pytest.approx(expected)


def test_airway_reactivity_before_and_after_a_transplantation_comes_out_as_published() -> None:
    """Bentur et al. (2009), by Fagerland and others: BMC Med Res Methodol 13:91 (2013), Stat Med 33:2850 (2014)."""
    found = Discordant(1, 7, 21)
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)
    assert found.interval(0.95) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_an_interval_has_a_width_where_nobody_disagrees() -> None:
    low, high = Discordant(0, 0, 20).interval(0.95)
    z2 = 1.959964**2
    assert high == pytest.approx(z2 / (20 + z2), abs=1e-6)  # the score interval of 0 of 20
    assert low == pytest.approx(-high)


@pytest.mark.parametrize("found", [Discordant(20, 0, 20), Discordant(0, 20, 20), Discordant(1, 0, 1)])
def test_an_interval_stays_within_what_a_difference_can_be(found: Discordant) -> None:
    low, high = found.interval(0.95)
    assert -1 <= low < (found.only_a - found.only_b) / found.images + 1e-9
    assert (found.only_a - found.only_b) / found.images - 1e-9 < high <= 1


def test_the_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    cells = (0.08, 0.04, 0.88)
    drawn = rng.multinomial(80, cells, 1500)
    intervals = [Discordant(int(a), int(b), 80).interval(0.95) for a, b, _ in drawn]
    assert 0.93 <= np.mean([low <= 0.04 <= high for low, high in intervals]) <= 0.97


def test_only_who_was_right_alone_counts() -> None:
    right_a = np.array([True, True, False, False, True])
    right_b = np.array([True, False, True, False, False])
    assert discordant(right_a, right_b) == Discordant(2, 1, 5)
