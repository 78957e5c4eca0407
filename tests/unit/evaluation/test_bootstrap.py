"""What is drawn in a bootstrap sample."""

from __future__ import annotations

import numpy as np
import pytest

from medexp.evaluation.bootstrap import Bootstrap, resampling_weights
from medexp.evaluation.predictions import Predictions

LABELS = np.array([0] * 30 + [1] * 10)
GROUPS = [f"p{i // 4}" for i in range(40)]


def weights(
    labels: np.ndarray = LABELS, groups: list[str] | None = None, *, seed: int = 0, stratify: bool = True
) -> np.ndarray:
    return np.concatenate(list(resampling_weights(labels, groups, resamples=3000, seed=seed, stratify=stratify)))


def test_images_are_drawn_with_replacement_within_their_class() -> None:
    found = weights()
    assert found.shape == (3000, 40)
    assert (found[:, :30].sum(axis=1) == 30).all()
    assert (found[:, 30:].sum(axis=1) == 10).all()
    # of n images one is left out with probability (1 - 1/n)^n, and drawn 1 +- sqrt((1 - 1/n) / 3000) times
    assert (found[:, :30] == 0).mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.01)
    assert found.mean(axis=0) == pytest.approx(np.ones(40), abs=5 / np.sqrt(3000))


def test_without_strata_the_classes_vary() -> None:
    found = weights(stratify=False)
    assert (found.sum(axis=1) == 40).all()
    assert found[:, 30:].sum(axis=1).std() == pytest.approx(np.sqrt(40 * 0.25 * 0.75), rel=0.1)


def test_images_of_one_group_are_drawn_together() -> None:
    found = weights(groups=GROUPS).reshape(3000, 10, 4)
    assert (found == found[:, :, :1]).all()
    assert (found[:, :, 0].sum(axis=1) == 10).all()


def test_images_of_several_classes_are_drawn_from_all() -> None:
    found = weights(np.stack([LABELS, 1 - LABELS], axis=1))
    assert found[:, 30:].sum(axis=1).std() > 1


def test_the_seed_alone_says_what_is_drawn() -> None:
    assert (weights(seed=1) == weights(seed=1)).all()
    assert (weights(seed=1) != weights(seed=2)).any()
    assert (weights(seed=0)[:1500] != weights(seed=0)[1500:]).any()


def test_blocks_are_drawn_one_by_one_as_in_a_row() -> None:
    n = 3000
    labels = np.arange(n) % 2
    p = Predictions("test", tuple(map(str, range(n))), labels, np.full((n, 2), 0.5), ("no", "yes"), "binary")
    bootstrap = Bootstrap(p, resamples=800, seed=3)
    assert len(bootstrap) == 3
    blocks = list(resampling_weights(labels, None, resamples=800, seed=3, stratify=True))
    assert [len(block) for block in blocks] == [349, 349, 102]
    for number in (2, 0, 1):
        assert (bootstrap.block(number) == blocks[number]).all()


def test_it_says_what_is_drawn_and_of_how_many() -> None:
    p = Predictions("test", tuple(GROUPS), LABELS, np.full((40, 2), 0.5), ("no", "yes"), "binary")
    alone = Bootstrap(p, resamples=1)
    assert (alone.unit, alone.units) == ("image", 40)
    patients = Bootstrap(Predictions(**{**vars(p), "groups": tuple(GROUPS)}), resamples=1)
    assert (patients.unit, patients.units) == ("group", 10)
