"""The data module: from a source to a DataSpec and batches."""

from __future__ import annotations

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from medexp.data.batches import Batches
from medexp.data.source import Examples, Source
from medexp.data.splits import split_by_group
from medexp.errors import DataError, unknown
from medexp.imaging.prepare import prepare
from medexp.types import SPLITS, DataSpec, InputSpec, Split, digest_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitArrays:
    """One split, decoded: `uint8` images (n, height, width, channels), class indices (n,), and their keys."""

    images: np.ndarray
    labels: np.ndarray
    keys: tuple[str, ...]


class DataModule:
    """Prepares a source once, splits it, and feeds it to a network.

    Args:
        source: where images come from.
        name: of the data set.
        input: the pixels that the network sees.
        positive: the class a binary task is about; required when there are two classes.
        batch_size: images per batch.
        val: share of the groups for validation, where the source has no split of its own.
        test: share of the groups for test.
        split_seed: of the split.
        seed: of the order of training images.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        input: InputSpec,
        positive: str | None,
        batch_size: int,
        val: float,
        test: float,
        split_seed: int,
        seed: int,
    ) -> None:
        self._source = source
        self._name = name
        self._input = input
        self._positive = positive
        self._batch_size = batch_size
        self._val, self._test, self._split_seed = val, test, split_seed
        self._seed = seed
        self._arrays: dict[Split, SplitArrays] = {}
        self._spec: DataSpec | None = None

    def prepare(self) -> None:
        """Download or generate what is missing."""
        self._source.prepare()

    def setup(self) -> DataSpec:
        """Decode all images, split them, and return the facts that a model may know.

        Raises:
            DataError: an unreadable image, two classes without `positive`, a class missing from a split.
        """
        examples = self._with_positive(self._source.examples())
        images = self._decode(examples)
        splits = np.array(examples.splits or self._split(examples))
        for split in SPLITS:
            rows = np.flatnonzero(splits == split)
            keys = tuple(examples.keys[i] for i in rows)
            self._arrays[split] = SplitArrays(images[rows], examples.labels[rows], keys)
        self._spec = DataSpec(
            name=self._name,
            task="binary" if len(examples.class_names) == 2 else "multiclass",
            class_names=examples.class_names,
            input=self._input,
            counts=self._counts(examples.class_names),
            digest=self._digest(examples.class_names),
            source=examples.origin,
            synthetic=examples.synthetic,
        )
        return self._spec

    @property
    def spec(self) -> DataSpec:
        """The facts; `setup` comes first."""
        assert self._spec is not None, "setup() comes first"
        return self._spec

    def arrays(self, split: Split) -> SplitArrays:
        """One split in its own order, decoded."""
        return self._arrays[split]

    def train(self, steps: int | None = None) -> Batches:
        """Training batches, shuffled by (seed, epoch): all, or the first `steps` of each epoch."""
        return self._batches("train", shuffle_seed=self._seed, limit=steps)

    def val(self) -> Batches:
        """Validation batches, in order."""
        return self._batches("val")

    def test(self) -> Batches:
        """Test batches, in order."""
        return self._batches("test")

    def _batches(self, split: Split, shuffle_seed: int | None = None, limit: int | None = None) -> Batches:
        part = self._arrays[split]
        if self.spec.task == "binary":
            targets = part.labels[:, np.newaxis].astype(np.float32)
        else:
            targets = np.eye(self.spec.outputs, dtype=np.float32)[part.labels]
        return Batches(part.images, targets, batch_size=self._batch_size, shuffle_seed=shuffle_seed, limit=limit)

    def _with_positive(self, examples: Examples) -> Examples:
        """For two classes, order them (negative, positive)."""
        names = examples.class_names
        if len(names) != 2:
            if self._positive is not None:
                raise DataError(
                    f"Only a task of two classes has a positive one. Received: data.positive={self._positive} with "
                    f"{len(names)} classes. Override: data.positive=null"
                )
            return examples
        if self._positive is None:
            raise DataError(
                "Say which of the two classes is the finding: scores and sensitivity are about it. "
                f"Received: data.positive=null. Override: data.positive={names[0]} or data.positive={names[1]}"
            )
        if self._positive not in names:
            raise DataError(f"data.positive: {unknown('class', self._positive, names)}")
        if self._positive == names[1]:
            return examples
        return replace(examples, class_names=(names[1], names[0]), labels=1 - examples.labels)

    def _decode(self, examples: Examples) -> np.ndarray:
        images = np.empty((len(examples.keys), *self._input.shape), dtype=np.uint8)

        def fill(i: int) -> None:
            images[i] = prepare(examples.read(i), self._input)

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
            for _ in pool.map(fill, range(len(images))):
                pass
        return images

    def _split(self, examples: Examples) -> tuple[Split, ...]:
        return split_by_group(
            examples.labels,
            examples.groups or examples.keys,
            val=self._val,
            test=self._test,
            seed=self._split_seed,
        )

    def _counts(self, class_names: tuple[str, ...]) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {
            split: {name: int((part.labels == i).sum()) for i, name in enumerate(class_names)}
            for split, part in self._arrays.items()
        }
        empty = [f"{split}: {name}" for split, row in counts.items() for name, n in row.items() if n == 0]
        if empty:
            raise DataError(
                f"Every class must be in every split. Received: no image of {', '.join(empty)}. Try another "
                "data.split.seed, larger data.split.val and data.split.test, or leave the class out."
            )
        return counts

    def _digest(self, class_names: tuple[str, ...]) -> str:
        """Of pixels, labels and splits: equal wherever the files lie and whatever they are called."""
        parts = {}
        homes: dict[str, set[str]] = {}
        for split, part in self._arrays.items():
            hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in part.images]
            parts[split] = digest_of(sorted(h + class_names[i] for h, i in zip(hashes, part.labels, strict=True)))
            for image in hashes:
                homes.setdefault(image, set()).add(split)
        shared = sum(len(splits) > 1 for splits in homes.values())
        if shared:
            logger.warning("%d images stand in more than one split: the scores of those splits are flattered", shared)
        return digest_of({"input": self._input.digest, "classes": class_names, "splits": parts})
