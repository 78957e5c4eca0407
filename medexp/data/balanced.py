"""How likely each image is drawn where classes are to be equally likely."""

from __future__ import annotations

import numpy as np


def balanced(classes: np.ndarray) -> np.ndarray:
    """Return the probability of each image, in inverse proportion to how many have its rarest class.

    Where an image has one class, each class is equally likely. Where it has several, the rarest decides: findings that
    come together cannot all be made equally likely. Images of no class are a class of their own.

    Args:
        classes: 1 where an image has a class, shape (n, classes).

    Returns:
        float64, (n,), with a sum of 1.
    """
    none = ~classes.any(axis=1, keepdims=True)
    member = np.concatenate([classes.astype(bool), none], axis=1)
    count = member.sum(axis=0)
    rarest = np.where(member, count, len(classes) + 1).min(axis=1)
    return np.asarray((1 / rarest) / (1 / rarest).sum())
