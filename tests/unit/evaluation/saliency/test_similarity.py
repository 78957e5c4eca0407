"""How alike maps are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medexp.evaluation.saliency.similarity import rank_correlations

DRAW = np.random.default_rng(0)


def test_it_is_spearmans_of_each_pair_of_maps_with_ties() -> None:
    a, b = DRAW.integers(0, 5, (7, 4, 6)), DRAW.normal(size=(7, 4, 6))
    wanted = [stats.spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    assert rank_correlations(a, b) == pytest.approx(wanted)


def test_only_the_order_of_places_counts() -> None:
    a = DRAW.normal(size=(3, 5, 5))
    assert rank_correlations(a, np.exp(3 * a)) == pytest.approx(1)
    assert rank_correlations(a, -a) == pytest.approx(-1)


@pytest.mark.parametrize("empty", [0.0, np.nan, np.inf])
def test_a_map_that_says_nothing_is_like_no_other(empty: float) -> None:
    a = DRAW.normal(size=(1, 3, 3))
    assert rank_correlations(a, np.full((1, 3, 3), empty)).tolist() == [0.0]
