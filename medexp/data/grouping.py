"""Who must stay together: images of one group, and groups that share an identical image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def joined(content: np.ndarray, groups: Sequence[str] | None) -> np.ndarray:
    """Return a group index of each image, (n,): equal where the group's name, or that of a group between, is shared.

    Args:
        content: SHA-256 of each image, text (n,); "" is like no other.
        groups: name of the group of each image; None where each stands alone.
    """
    from scipy.sparse import coo_array  # a quarter of a second, which `--help` need not wait for
    from scipy.sparse.csgraph import connected_components

    n = len(content)
    own = np.arange(n) if groups is None else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    _, first, same = np.unique(content, return_index=True, return_inverse=True)
    known = np.flatnonzero(content != "")
    edges = (np.ones(len(known)), (own[known], own[first[same[known]]]))
    size = int(own.max(initial=-1)) + 1
    _, component = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    return np.asarray(component[own], dtype=np.intp)


@dataclass(frozen=True)
class Groups:
    """Groups of some images.

    Args:
        of: index of the group of each image, (n,).
        images: how many images of each class a group has, (groups, classes).
        digests: names each group by what its images contain, not by its name, their names or labels.
    """

    of: np.ndarray
    images: np.ndarray
    digests: tuple[str, ...]

    @classmethod
    def of_images(cls, group: np.ndarray, *, marks: np.ndarray, content: np.ndarray) -> Groups:
        """Gather the groups of n images.

        Args:
            group: any index of the group of each image, (n,).
            marks: 0 or 1 for each class, (n, classes).
            content: SHA-256 of each image, text (n,).
        """
        _, of = np.unique(group, return_inverse=True)
        images = np.zeros((int(of.max(initial=-1)) + 1, marks.shape[1]), dtype=np.int64)
        np.add.at(images, of, marks)
        order = np.lexsort((content, of))
        members = np.split(content[order], np.flatnonzero(np.diff(of[order])) + 1) if len(of) else []
        digests = tuple(hashlib.sha256(" ".join(own.tolist()).encode()).hexdigest() for own in members)
        return cls(of, images, digests)

    def some(self, chosen: np.ndarray) -> Groups:
        """The groups of these indices, and their images; `of` counts anew."""
        place = np.full(len(self.digests), -1)
        place[chosen] = np.arange(len(chosen))
        of = place[self.of]
        return Groups(of[of >= 0], self.images[chosen], tuple(self.digests[i] for i in chosen.tolist()))

    def counts(self) -> np.ndarray:
        """How many groups have each class, (classes,)."""
        return np.asarray((self.images > 0).sum(axis=0))
