"""A data set once it is read: pixels, labels, splits and facts of the files. What audit and batches work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from medexp.data.source import Images
from medexp.types import InputSpec, Split, Task


class Pixels(Protocol):
    """Prepared images, on disk or read as they are asked for; the same pixels either way."""

    @property
    def input(self) -> InputSpec:
        """What the images are prepared for."""

    def __len__(self) -> int:
        """How many images."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows` (indices), `input.dtype`, shape (rows, *input.shape), as a new array."""


@dataclass(frozen=True)
class Facts:
    """What is known of each image beside its pixels: arrays of length n.

    Args:
        content: SHA-256 of the file (or of the array), hexadecimal text.
        pixels: SHA-256 of the prepared pixels; "" where it could not be read.
        format: such as PNG, JPEG, DICOM; ARRAY where pixels came without a file.
        mode: colour mode before preparation, such as L, RGB, P, I;16.
        width: before preparation, in pixels, as the image stands upright.
        height: before preparation, in pixels, as the image stands upright.
        bits: per sample.
        bytes: size of the file (of the array).
        error: why it cannot be read, one sentence; "" where it can.
    """

    content: np.ndarray
    pixels: np.ndarray
    format: np.ndarray
    mode: np.ndarray
    width: np.ndarray
    height: np.ndarray
    bits: np.ndarray
    bytes: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """Labelled, split, prepared images, n of them.

    Args:
        name: of the data set.
        task: what kind of labels.
        class_names: binary: (negative, positive); ordinal: in order.
        keys: names of the images.
        labels: class indices (n,); multi-label: 0 or 1 per class (n, classes).
        groups: of each image; None where each stands alone.
        splits: train, val or test of each image, array of text (n,).
        own_split: whether medexp made the split, not the source.
        metadata: other columns by name, "" where a value is missing.
        pixels: the images.
        facts: of the files.
        images: the files themselves.
        hidden: columns that results do not keep, but that may name a patient: for the audit alone.
        synthetic: whether a program drew the images.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    keys: tuple[str, ...]
    labels: np.ndarray
    groups: tuple[str, ...] | None
    splits: np.ndarray
    own_split: bool
    metadata: Mapping[str, tuple[str, ...]]
    pixels: Pixels
    facts: Facts
    images: Images
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    synthetic: bool = False

    def rows(self, split: Split) -> np.ndarray:
        """Indices of the images of `split`."""
        return np.flatnonzero(self.splits == split)
