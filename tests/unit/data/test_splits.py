from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medexp.data.splits import split_by_group
from medexp.errors import DataError
from medexp.types import SPLITS


def patients(*per_class: int, images: int = 2) -> tuple[np.ndarray, list[str]]:
    """So many patients of each class, with `images` each."""
    labels = [label for label, count in enumerate(per_class) for _ in range(count * images)]
    groups = [f"c{label}p{i}" for label, count in enumerate(per_class) for i in range(count) for _ in range(images)]
    return np.array(labels), groups


def split(labels: np.ndarray, groups: list[str], *, val: float = 0.15, test: float = 0.15, seed: int = 0) -> np.ndarray:
    return np.array(split_by_group(labels, groups, val=val, test=test, seed=seed))


def crossing(groups: list[str], splits: np.ndarray) -> list[str]:
    """Groups that are in more than one split."""
    found = defaultdict(set)
    for group, name in zip(groups, splits, strict=True):
        found[group].add(name)
    return [group for group, names in found.items() if len(names) > 1]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(3, 25), min_size=2, max_size=4),
    images=st.integers(1, 3),
    val=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.3),
    seed=st.integers(0, 2**32 - 1),
)
def test_pure_groups_never_cross_and_every_class_is_everywhere(
    counts: list[int], images: int, val: float, test: float, seed: int
) -> None:
    labels, groups = patients(*counts, images=images)
    splits = split(labels, groups, val=val, test=test, seed=seed)
    assert crossing(groups, splits) == []
    for label in range(len(counts)):
        assert set(splits[labels == label]) == set(SPLITS)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), min_size=40, max_size=80),
    group_count=st.integers(8, 20),
    seed=st.integers(0, 1000),
)
def test_groups_that_mix_classes_never_cross(labels: list[int], group_count: int, seed: int) -> None:
    groups = [f"g{i % group_count}" for i in range(len(labels))]
    try:
        splits = split(np.array(labels), groups, seed=seed)
    except DataError:
        return
    assert crossing(groups, splits) == []
    assert set(splits) == set(SPLITS)


@pytest.mark.parametrize(("val", "test"), [(0.15, 0.15), (0.1, 0.2), (0.3, 0.3), (0.25, 0.05)])
def test_each_class_is_shared_out_as_asked(val: float, test: float) -> None:
    labels, groups = patients(100, 300)
    splits = split(labels, groups, val=val, test=test)
    for label in (0, 1):
        shares = {name: (splits[labels == label] == name).mean() for name in SPLITS}
        assert shares == pytest.approx({"train": 1 - val - test, "val": val, "test": test}, abs=0.011)


def test_classes_keep_their_proportion_where_groups_mix_them() -> None:
    rng = np.random.default_rng(0)
    labels, groups = (rng.random(2000) < 0.2).astype(int), [f"g{i}" for i in rng.integers(0, 200, 2000)]
    splits = split(labels, groups)
    for name in SPLITS:
        assert labels[splits == name].mean() == pytest.approx(0.2, abs=0.05)
    assert (splits == "test").mean() == pytest.approx(0.15, abs=0.03)


def test_the_same_seed_gives_the_same_split() -> None:
    data = patients(20, 20)
    assert (split(*data, seed=5) == split(*data, seed=5)).all()


def test_another_seed_gives_another_split() -> None:
    data = patients(20, 20)
    assert (split(*data, seed=5) != split(*data, seed=6)).any()


def test_the_order_of_images_does_not_change_the_split() -> None:
    labels, groups = patients(10, 12)
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = split(labels[order], [groups[i] for i in order])
    assert (shuffled == split(labels, groups)[order]).all()


@pytest.mark.parametrize("counts", [(2, 10), (10, 1)])
def test_a_class_of_two_groups_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=f"three groups.*Received: {min(counts)}"):
        split(*patients(*counts))


def test_three_groups_are_enough_whatever_the_shares() -> None:
    assert set(split(*patients(3, 3), val=0.3, test=0.6)) == set(SPLITS)
