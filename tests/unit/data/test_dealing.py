from __future__ import annotations

import numpy as np

from medexp.data.dealing import deal


def dealt(images: list[list[int]], shares: tuple[float, ...], least: tuple[int, ...]) -> np.ndarray | None:
    counts = np.array(images)
    return deal(
        counts,
        shares=np.array(shares),
        least=np.repeat(np.array(least)[:, np.newaxis], counts.shape[1], axis=1),
        coins=np.zeros(len(counts), dtype=int),
    )


def test_a_class_that_the_paper_s_dealing_leaves_out_is_brought_in() -> None:
    images = [[30, 0, 1000], [1, 1, 30], [0, 1000, 1000], [1, 30, 0], [1, 1, 0]]
    parts = dealt(images, (0.1, 0.9), (2, 1))
    assert parts is not None
    has = np.array(images) > 0
    assert (has[parts == 0].sum(axis=0) >= 2).all()
    assert (has[parts == 1].sum(axis=0) >= 1).all()


def test_what_cannot_be_is_said() -> None:
    assert dealt([[1, 1], [1, 0], [0, 1]], (0.5, 0.5), (2, 1)) is None


def test_groups_that_are_dealt_late_do_not_unbalance_what_came_first() -> None:
    images = [[1]] * 20 + [[40]]  # the order is that of dealing
    parts = dealt(images, (0.7, 0.3), (1, 1))
    assert parts is not None
    assert parts[20] == 0
    assert 7 <= (parts == 1).sum() <= 13


def test_two_groups_are_swapped_where_moving_neither_is_better() -> None:
    parts = dealt([[6], [4], [5], [5], [3], [7]], (0.5, 0.5), (1, 1))
    assert parts is not None
    sizes = np.array([6, 4, 5, 5, 3, 7])
    assert sizes[parts == 0].sum() == 15
    assert (parts == 0).sum() == 3


def test_coins_decide_between_equal_parts() -> None:
    counts = np.ones((2, 1), dtype=int)
    answers = {
        tuple(
            deal(
                counts, shares=np.array([0.5, 0.5]), least=np.zeros((2, 1), dtype=int), coins=np.array([coin, 0])
            ).tolist()
        )
        for coin in range(2)
    }
    assert answers == {(0, 1), (1, 0)}
