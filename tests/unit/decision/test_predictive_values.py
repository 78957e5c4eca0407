from __future__ import annotations

import math

import pytest

from medexp.decision.predictive_values import predictive_values


def test_a_positive_answer_means_little_where_the_finding_is_rare() -> None:
    # Of 10,000 women 80 have breast cancer, of which 64 are found; so are 952 of the other 9,920 (Gigerenzer and
    # Hoffrage, Psychol Rev 102:684, 1995, rounded there to 64 of 1,016).
    positive, negative = predictive_values(64 / 80, 1 - 952 / 9920, prevalence=0.008)
    assert positive == pytest.approx(64 / 1016)
    assert negative == pytest.approx(8968 / 8984)


@pytest.mark.parametrize("prevalence", [0.1, 0.5, 0.9])
def test_at_the_prevalence_of_the_data_they_are_those_of_its_counts(prevalence: float) -> None:
    true, missed, right, false = 80 * prevalence, 20 * prevalence, 70 * (1 - prevalence), 30 * (1 - prevalence)
    found = predictive_values(0.8, 0.7, prevalence=prevalence)
    assert found == pytest.approx((true / (true + false), right / (right + missed)))


def test_what_nobody_is_called_has_no_value() -> None:
    positive, negative = predictive_values(0.0, 1.0, prevalence=0.2)
    assert math.isnan(positive)
    assert negative == pytest.approx(0.8)
    assert predictive_values(1.0, 0.0, prevalence=1.0)[0] == 1
    assert math.isnan(predictive_values(1.0, 0.0, prevalence=1.0)[1])
