"""What the augmentation makes of the first training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from medexp.training.augmented import augment
from medexp.training.reseed import reseed


@dataclass(frozen=True)
class Preview:
    """Training images and what the network gets to see in their place.

    Args:
        images: as they are, float32, (n, height, width, channels), 0 to 255.
        targets: of them, (n, outputs).
        augmented: several versions of each, (versions, n, height, width, channels).
        mixed: the targets of the versions, (versions, n, outputs).
    """

    images: np.ndarray
    targets: np.ndarray
    augmented: np.ndarray
    mixed: np.ndarray


def preview(
    batches: keras.utils.PyDataset,
    augmentation: Sequence[keras.layers.Layer],
    *,
    seed: int,
    images: int = 6,
    versions: int = 5,
) -> Preview:
    """Augment the first batch of the first epoch with the layers and the random numbers of a training.

    Version 1 is what the first step of epoch 1 sees; version k what it would see with the draws of step k.

    Args:
        batches: training's, of (images, targets).
        augmentation: training's layers.
        seed: of the run.
        images: how many to return, the classes in turn.
        versions: of each.
    """
    originals, targets = (np.asarray(part, np.float32) for part in batches[0])
    shown = _in_turn(targets)[:images]
    reseed(augmentation, seed=seed, epoch=0)
    results = []
    for _ in range(versions):
        augmented, mixed = augment(augmentation, originals, keras.ops.convert_to_tensor(targets))
        results.append((keras.ops.convert_to_numpy(augmented)[shown], keras.ops.convert_to_numpy(mixed)[shown]))
    pixels, labels = zip(*results, strict=True)
    return Preview(originals[shown], targets[shown], np.stack(pixels), np.stack(labels))


def _in_turn(targets: np.ndarray) -> np.ndarray:
    """The order of rows in which each kind of target comes first once, then each a second time, and so on."""
    _, kinds = np.unique(targets, axis=0, return_inverse=True)
    kinds = kinds.ravel()
    rank = np.array([(kinds[:i] == kind).sum() for i, kind in enumerate(kinds)])
    return np.lexsort((kinds, rank))
