from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.covariance import EmpiricalCovariance
from sklearn.neighbors import LocalOutlierFactor

from medexp.decision.feature_space import FeatureSpace, on_sphere
from medexp.evaluation.abstention import fit_feature_space
from medexp.evaluation.abstention.feature_space import NEIGHBOURS

SIZE = 12


def features(rng: np.random.Generator, images: int) -> np.ndarray:
    """Two kinds of images, of different density, as pooled ReLUs would have them."""
    kind = rng.random(images) < 0.3
    centre = np.where(kind[:, np.newaxis], np.linspace(0, 2, SIZE), np.linspace(2, 0, SIZE))
    return np.maximum(centre + rng.normal(0, np.where(kind, 0.1, 0.3)[:, np.newaxis], (images, SIZE)), 0)


def fitted(images: int = 600, **options: float) -> FeatureSpace:
    rng = np.random.default_rng(0)
    return fit_feature_space(features(rng, images), features(rng, 400), **{"false_refusal": 0.05, **options})


def parts(space: FeatureSpace, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Along the directions, and the square of what is outside."""
    centred = on_sphere(some) - space.mean
    along = centred @ space.directions.T
    return along, ((centred - along @ space.directions) ** 2).sum(axis=1)


def test_the_distance_from_the_mean_is_that_of_scikit_learn_with_what_lies_outside() -> None:
    rng = np.random.default_rng(0)
    train, other = features(rng, 600), rng.random((50, SIZE)) * 2
    space = fit_feature_space(train, features(rng, 400), false_refusal=0.05)
    assert 1 <= len(space.directions) < SIZE
    along, outside = parts(space, other)
    spread = EmpiricalCovariance().fit(parts(space, train)[0])
    expected = spread.mahalanobis(along) * (599 / 600) + outside / space.residual**2
    assert np.exp(space.distances(other)[:, 0]) == pytest.approx(expected, rel=1e-6)


def test_the_outlier_factor_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    train, other = features(rng, 600), rng.random((50, SIZE)) * 2
    space = fit_feature_space(train, features(rng, 400), false_refusal=0.05)
    (along, outside), (others, others_outside) = parts(space, train), parts(space, other)
    near = np.sqrt(cdist(along, along) ** 2 + outside[:, np.newaxis] + outside)
    np.fill_diagonal(near, 0)
    far = np.sqrt(cdist(others, along) ** 2 + others_outside[:, np.newaxis] + outside)
    factor = LocalOutlierFactor(NEIGHBOURS, novelty=True, metric="precomputed").fit(near)
    found = np.exp(space.distances(other)[:, 1])
    assert found == pytest.approx(-factor.score_samples(far), rel=1e-6)
    exact = LocalOutlierFactor(NEIGHBOURS, novelty=True).fit(on_sphere(train)).score_samples(on_sphere(other))
    assert spearmanr(found, -exact).statistic > 0.97  # right angles or not: hardly anybody changes places


def test_features_count_by_their_direction() -> None:
    rng = np.random.default_rng(3)
    some = features(rng, 20)
    assert np.linalg.norm(on_sphere(some), axis=1) == pytest.approx(1)
    assert fitted().scores(some * 7) == pytest.approx(fitted().scores(some))
    assert (np.sign(on_sphere(-some)) == -np.sign(some)).all()
    assert on_sphere(np.array([[9, -16, 0], [0, 0, 0]])) == pytest.approx(np.array([[0.6, -0.8, 0], [0, 0, 0]]))


def test_images_like_those_of_validation_are_refused_as_often_as_chosen() -> None:
    for share in (0.05, 0.2):
        rates = []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            space = fit_feature_space(features(rng, 200), features(rng, 100), false_refusal=share)
            rates.append(space.refused(features(rng, 500)).mean())
        assert share * 0.8 < np.mean(rates) < share * 1.1


def test_what_lies_elsewhere_is_refused_also_between_the_kinds_and_outside_the_directions() -> None:
    space = fitted()
    between = np.tile(np.full(SIZE, 1.0), (5, 1))
    outside = np.zeros((SIZE, SIZE)) + np.eye(SIZE)
    assert space.refused(between).all()
    assert space.refused(outside).all()
    assert space.refused(np.zeros((1, SIZE))).all()  # a black image may leave nothing


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers_are_refused(value: float) -> None:
    broken = features(np.random.default_rng(0), 3)
    broken[1, 4] = value
    assert fitted().refused(broken)[1]


def test_the_scores_of_validation_have_the_scale_that_is_told() -> None:
    rng = np.random.default_rng(0)
    train, val = features(rng, 600), features(rng, 400)
    space = fit_feature_space(train, val, false_refusal=0.05)
    scaled = (space.distances(val) - space.centres) / space.spreads
    assert np.median(scaled, axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.quantile(scaled, 0.95, axis=0) == pytest.approx([1, 1])
    assert np.median(space.scores(val)) == pytest.approx(0, abs=0.2)


def test_too_few_validation_images_refuse_nothing_and_the_log_says_how_many_it_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(0)
    train = features(rng, 100)
    assert np.isfinite(fit_feature_space(train, features(rng, 19), false_refusal=0.05).threshold)
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        space = fit_feature_space(train, features(rng, 18), false_refusal=0.05)
    assert "takes 19 validation images, and there are 18" in caplog.text
    assert not space.refused(np.eye(SIZE)).any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("images", [1, 2, 3, 21])
def test_a_handful_of_training_images_makes_a_space(images: int) -> None:
    scores = fitted(images).scores(features(np.random.default_rng(5), 30))
    assert np.isfinite(scores).all()


@pytest.mark.filterwarnings("error")
def test_copies_of_one_training_image_do_not_make_all_else_strange() -> None:
    rng = np.random.default_rng(0)
    train = features(rng, 600)
    train[:50] = train[0]
    space = fit_feature_space(train, features(rng, 400), false_refusal=0.05)
    assert space.refused(features(rng, 500)).mean() < 0.1


@pytest.mark.filterwarnings("error")
def test_a_network_that_says_the_same_of_all_images_makes_a_space() -> None:
    alike = np.ones((40, SIZE))
    space = fit_feature_space(alike, alike, false_refusal=0.05)
    assert not space.refused(alike).any()
    assert space.refused(np.eye(SIZE)).all()


def test_what_is_written_is_read_back_and_scores_the_same_to_the_bit(tmp_path: Path) -> None:
    space = fitted()
    space.write(tmp_path / "feature_space.npz")
    read = FeatureSpace.read(tmp_path / "feature_space.npz")
    some = np.random.default_rng(1).random((300, SIZE)).astype(np.float32)
    assert (read.scores(some) == space.scores(some)).all()
    assert (read.threshold, read.false_refusal, read.neighbours) == (space.threshold, 0.05, space.neighbours)
    assert isinstance(read.neighbours, int)


def test_one_image_scores_as_it_does_among_many() -> None:
    space = fitted()
    some = features(np.random.default_rng(1), 600)
    assert np.concatenate([space.scores(some[i : i + 1]) for i in (0, 300, 599)]) == pytest.approx(
        space.scores(some)[[0, 300, 599]], rel=1e-4, abs=1e-4
    )
    assert space.scores(some[:0]).shape == (0,)
