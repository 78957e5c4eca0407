from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from medexp.evaluation.share import Share


@pytest.mark.parametrize(("hits", "images"), [(0, 10), (3, 10), (30, 30), (81, 263)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_an_interval_is_that_of_wilson(hits: int, images: int, confidence: float) -> None:
    found = Share.of(np.arange(images) < hits).estimate(confidence=confidence)
    wanted = proportion_confint(hits, images, alpha=1 - confidence, method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((hits / images, *wanted))


def test_copies_of_an_image_are_worth_one() -> None:
    hits = np.random.default_rng(0).integers(0, 2, 200)
    patients = np.arange(200)
    assert Share.of(hits.repeat(5), patients.repeat(5)).size == pytest.approx(200, rel=0.02)
    assert Share.of(hits, patients) == Share.of(hits)


def test_images_that_do_not_resemble_those_of_their_group_are_worth_about_all() -> None:
    hits = np.random.default_rng(0).integers(0, 2, 2000)
    assert 1600 < Share.of(hits, np.arange(2000) // 4).size <= 2000


def test_where_all_are_hits_a_patient_is_worth_one_image() -> None:
    found = Share.of(np.ones(100), np.arange(100) // 10)
    assert (found.value, found.size) == (1, 10)
    assert found.estimate(confidence=0.95).low < proportion_confint(10, 10, method="wilson")[0]  # Student's, of ten


def test_an_interval_is_about_what_is_left_of_an_optimistic_share() -> None:
    share = Share.of(np.arange(100) < 80)
    plain, less = share.estimate(confidence=0.95), share.estimate(confidence=0.95, optimism=0.05)
    assert less.value == plain.value == 0.8
    assert less.low < plain.low - 0.04
    assert 0.8 <= less.high < plain.high
    assert share.estimate(confidence=0.95, optimism=0.3).high == 0.8  # it holds what was counted


def test_of_no_image_there_is_no_share() -> None:
    assert math.isnan(Share.of(np.array([])).estimate(confidence=0.95).low)


def test_shares_that_may_be_behind_are_drawn_from_the_posterior() -> None:
    drawn = Share.of(np.ones(30)).draws(20_000, rng=np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(30.5 / 31, abs=1e-3)
    assert drawn.min() < 0.9
