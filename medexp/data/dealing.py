"""Deal groups of images into parts, with every class in proportion."""

from __future__ import annotations

import itertools
import math

import numpy as np

_CANDIDATES = 96  # of the best moves, that are tried before all are weighed anew
_GROUPS_MATTER = 0.5
_LEAST_GAIN = 1e-8  # a share that is off by 0.01 points is good enough


def deal(images: np.ndarray, *, shares: np.ndarray, least: np.ndarray, coins: np.ndarray) -> np.ndarray | None:
    """Return the part of each group, so that each part has its share of every class.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD
    2011): the class with the fewest groups left is dealt first, each of its groups to the part that wants most of that
    class. Groups are not single images as in the paper, and a large one dealt late spoils the proportions, so single
    groups are then moved, and pairs swapped between parts, as long as that lowers

        sum over parts p and columns c of  w_c^2 (held_pc - share_p)^2 / share_p

    where held_pc is what part p has of column c (from 0 to 1). The columns are the images of each class and of all,
    w = 1, and the groups of each class and of all, w = 1/2: a part should not have its images from few patients, but
    where a group is very large the two cannot agree, and images count. Nothing depends on the order of the classes,
    and all sums are made in a fixed order of IEEE operations: the same answer on every machine.

    Args:
        images: how many images of each class (column) a group (row) has, (n, classes); the order of the rows is the
            order of dealing. Images of several classes count in each.
        shares: of the parts, (k,); they add up to 1.
        least: how many groups of each class a part must have, (k, classes).
        coins: a random whole number for each group, that decides between equal parts, (n,).

    Returns:
        Index of the part of each group, (n,); None where `least` could not be kept.
    """
    order = sorted(range(images.shape[1]), key=lambda column: (images[:, column].tolist(), least[:, column].tolist()))
    order = [column for column in order if images[:, column].any()]
    images, least = images[:, order], least[:, order]
    search = _Search(images, _first(images, shares, least, coins), shares, least)
    return search.parts if search.run() else None


def _first(images: np.ndarray, shares: np.ndarray, least: np.ndarray, coins: np.ndarray) -> np.ndarray:
    """Sechidis' greedy dealing, but a class that has only just enough groups left goes where it is missing."""
    n, k = len(images), len(shares)
    parts = np.full(n, -1)
    has = images > 0
    wanted = shares[:, np.newaxis] * images.sum(axis=0)
    wanted_all = shares * images.sum()
    missing = least.copy()
    left = has.sum(axis=0)
    sizes = images.sum(axis=1)
    while left.any():
        column = int(np.argmin(np.where(left > 0, left, n + 1)))
        for row in np.flatnonzero(has[:, column] & (parts < 0)):
            open_parts: list[int] = list(range(k))
            lacking = np.maximum(missing[:, column], 0)
            if lacking.any() and left[column] <= lacking.sum():
                open_parts = np.flatnonzero(lacking).tolist()
            need = [(wanted[part, column], wanted_all[part]) for part in open_parts]
            best = max(need)
            equal = [part for part, value in zip(open_parts, need, strict=True) if value == best]
            part = equal[int(coins[row]) % len(equal)]
            parts[row] = part
            wanted[part] -= images[row]
            wanted_all[part] -= sizes[row]
            missing[part] -= has[row]
            left -= has[row]
    return parts


class _Search:
    """Local search from a first dealing; groups with equal counts are one kind and are moved as such."""

    def __init__(self, images: np.ndarray, parts: np.ndarray, shares: np.ndarray, least: np.ndarray) -> None:
        self.parts = parts
        self._k = len(shares)
        self._shares = shares
        self._inverse = 1 / shares
        kinds, self._kind = np.unique(images, axis=0, return_inverse=True)
        self._has = (kinds > 0).astype(np.int64)
        self._least = least
        columns = np.column_stack([kinds, kinds.sum(axis=1)])
        if columns.max() > 1:  # else every group is one image, and groups and images are balanced alike
            columns = np.column_stack([columns, self._has, np.ones(len(kinds), dtype=np.int64)])
        self._columns = np.ascontiguousarray(columns.T)
        self._count = np.zeros((len(kinds), self._k), dtype=np.int64)
        np.add.at(self._count, (self._kind, parts), 1)
        self._total = self._columns @ self._count.sum(axis=1)
        self._held = self._columns @ self._count
        self._groups = self._count.T @ self._has
        self._scale = np.where(np.arange(len(self._total)) <= images.shape[1], 1.0, _GROUPS_MATTER)[:, np.newaxis]
        self._weight = self._scale * self._columns / self._total[:, np.newaxis]  # of a kind, (columns, kinds)
        self._square = np.zeros(len(kinds))
        for column in self._weight:
            self._square += column * column

    def run(self) -> bool:
        """Move and swap until nothing is better; return whether every part has what it must have."""
        while self._fill() or self._move() or self._swap():
            pass
        return not (self._groups < self._least).any()

    def _change(self) -> np.ndarray:
        """What moving one group of a kind from a part to another adds to the sum, (kinds, from, to)."""
        slope = np.zeros((len(self._count), self._k))
        for column, steep in zip(self._weight, self._slope(), strict=True):
            slope += column[:, np.newaxis] * steep
        pairs = self._inverse[:, np.newaxis] + self._inverse
        change = slope[:, np.newaxis, :] - slope[:, :, np.newaxis] + self._square[:, np.newaxis, np.newaxis] * pairs
        change[:, range(self._k), range(self._k)] = np.inf
        change[self._count == 0] = np.inf
        return change

    def _slope(self) -> np.ndarray:
        """Derivative of the sum by what a part holds of a column, (columns, parts)."""
        excess = self._held / self._total[:, np.newaxis] - self._shares
        return np.asarray(2 * self._scale * excess * self._inverse)

    def _fill(self) -> bool:
        """Where a part lacks a class, make the move that mends most gaps."""
        if not (self._groups < self._least).any():
            return False
        gain = self._has @ (self._groups < self._least).T
        loss = self._has @ (self._groups <= self._least).T
        change = self._change()
        gaps = np.where(np.isfinite(change), loss[:, :, np.newaxis] - gain[:, np.newaxis, :], 0)
        if gaps.min() >= 0:
            return False
        kind, start, end = np.unravel_index(int(np.argmin(np.where(gaps == gaps.min(), change, np.inf))), gaps.shape)
        self._put(int(kind), int(start), int(end))
        return True

    def _move(self) -> bool:
        """Make the best moves of single groups that leave no gap."""
        change = self._change()
        tight = self._groups <= self._least
        if tight.any():
            change[(self._has @ tight.T) > 0] = np.inf
        better = np.flatnonzero(change < -_LEAST_GAIN)
        best = better[np.argsort(change.ravel()[better], kind="stable")[:_CANDIDATES]]
        moved = False
        for kind, start, end in zip(*(axis.tolist() for axis in np.unravel_index(best, change.shape)), strict=True):
            if self._count[kind, start] == 0 or (self._has[kind] & (self._groups[start] <= self._least[start])).any():
                continue  # the moves before it have changed that
            slope = self._slope()
            terms = self._weight[:, kind] * (slope[:, end] - slope[:, start])
            pair = self._inverse[start] + self._inverse[end]
            if math.fsum(terms.tolist()) + self._square[kind] * pair < -_LEAST_GAIN:
                self._put(kind, start, end)
                moved = True
        return moved

    def _swap(self) -> bool:
        """Swap the best pair of groups between two parts, if that is better and leaves no new gap."""
        change = self._change()
        best, chosen = -_LEAST_GAIN, (-1, -1, -1, -1)
        for a, b in itertools.combinations(range(self._k), 2):
            there, back = self._candidates(change, a, b), self._candidates(change, b, a)
            if not len(there) or not len(back):
                continue
            both = np.zeros((len(there), len(back)))
            for column in self._weight:
                both += column[there][:, np.newaxis] * column[back]
            value = change[there, a, b][:, np.newaxis] + change[back, b, a]
            value -= 2 * (self._inverse[a] + self._inverse[b]) * both
            value[self._breaks(a, there, back) | self._breaks(b, back, there).T] = np.inf
            i, j = np.unravel_index(int(np.argmin(value)), value.shape)
            if value[i, j] < best:
                best, chosen = float(value[i, j]), (int(there[i]), int(back[j]), a, b)
        first, second, a, b = chosen
        if first < 0:
            return False
        self._put(first, a, b)
        self._put(second, b, a)
        return True

    def _candidates(self, change: np.ndarray, start: int, end: int) -> np.ndarray:
        """The kinds in `start` that would best go to `end`."""
        kinds = np.flatnonzero(self._count[:, start])
        return kinds[np.argsort(change[kinds, start, end], kind="stable")[:_CANDIDATES]]

    def _breaks(self, part: int, out: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Whether `part` would lack a class if it gave a kind of `out` and got one of `into`."""
        tight = self._groups[part] <= self._least[part]
        return np.asarray((self._has[out][:, tight] @ (1 - self._has[into][:, tight]).T) > 0)

    def _put(self, kind: int, start: int, end: int) -> None:
        """Move the first group of a kind."""
        row = np.flatnonzero((self._kind == kind) & (self.parts == start))[0]
        self.parts[row] = end
        for part, sign in ((start, -1), (end, 1)):
            self._count[kind, part] += sign
            self._held[:, part] += sign * self._columns[:, kind]
            self._groups[part] += sign * self._has[kind]
