"""The data module: from a source to a data set, to the facts a model may know, to batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from medexp.data.balanced import balanced
from medexp.data.cache.open import PixelCache, Prepared
from medexp.data.dataset import Dataset
from medexp.data.grouping import joined
from medexp.data.labels import Labels, resolve_labels
from medexp.data.source import Examples, Source
from medexp.data.split_file import read_split, write_split
from medexp.data.splits import split, split_digest
from medexp.data.together import read_together
from medexp.errors import DataError
from medexp.types import SPLITS, DataSpec, InputSpec, Invariances, Split, Task, digest_of

if TYPE_CHECKING:
    from medexp.data.batches import Batches

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitRule:
    """How images are shared out where neither the source nor a file says it.

    Args:
        val: share of the groups for validation.
        test: share of the groups for test.
        seed: of the dealing.
        folds: of cross-validation.
        repeat: deals the folds anew.
        fold: which fold validates; None for no cross-validation.
        file: a CSV that says who is where.
        together: a CSV of images that no split may part, which an audit writes.
        all_test: every image is tested on, none is trained on, whatever else says so.
    """

    val: float = 0.15
    test: float = 0.15
    seed: int = 0
    folds: int = 5
    repeat: int = 0
    fold: int | None = None
    file: Path | None = None
    together: Path | None = None
    all_test: bool = False


@dataclass(frozen=True)
class SplitExamples:
    """One split: keys, labels (n,) or (n, classes), the other columns of the source by name, and groups, if any."""

    keys: tuple[str, ...]
    labels: np.ndarray
    metadata: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...] | None = None


class DataModule:
    """Prepares a source once, splits it, and feeds it to a network.

    Reading and splitting need no framework: only batches do.

    Args:
        source: where images come from.
        name: of the data set.
        input: the pixels that the network sees.
        any_depth: take 16 bits where an image has more than 8, whatever `input.bits` says.
        task: what kind of labels; None for what they are.
        classes: all classes in their order; None for the source's.
        positive: the class a binary task is about; required when there are two classes.
        batch_size: images per batch.
        rule: how images are split.
        seed: of the order of training images.
        cache: where prepared pixels are kept.
        sampling: which training images an epoch has: `shuffle`, each once; `balanced`, one class as likely as another,
            see `balanced`.
        workers: threads that read batches ahead; what is read does not depend on them.
        invariances: what an augmentation must not change.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        input: InputSpec,
        batch_size: int,
        seed: int,
        cache: PixelCache,
        sampling: Literal["shuffle", "balanced"] = "shuffle",
        workers: int = 1,
        rule: SplitRule | None = None,
        any_depth: bool = False,
        task: Task | None = None,
        classes: tuple[str, ...] | None = None,
        positive: str | None = None,
        invariances: Invariances | None = None,
    ) -> None:
        self._source = source
        self._name = name
        self._input = input
        self._any_depth = any_depth
        self._task, self._classes, self._positive = task, classes, positive
        self._batch_size = batch_size
        self._rule = rule or SplitRule()
        self._seed = seed
        self._cache = cache
        self._sampling, self._workers = sampling, workers
        self._invariances = invariances or Invariances()
        self._dataset: Dataset | None = None
        self._labels: Labels | None = None
        self._spec: DataSpec | None = None
        self._origin = ""

    def prepare(self) -> None:
        """Download or generate what is missing."""
        self._source.prepare()

    def load(self) -> Dataset:
        """Decode all images or find them decoded, and split them. Unreadable ones are in no split.

        Raises:
            DataError: labels that contradict the task, two classes without `positive`, no readable image, or a split
                that cannot be made.
        """
        if self._dataset is not None:
            return self._dataset
        examples = self._source.examples()
        self._labels = resolve_labels(examples, task=self._task, classes=self._classes, positive=self._positive)
        self._origin = examples.origin
        prepared = self._cache.open(
            examples.images, origin=examples.origin, input=self._input, any_depth=self._any_depth
        )
        readable = np.flatnonzero(prepared.facts.error == "")
        if not len(readable):
            raise DataError(f"No image can be read. Received: {len(examples.keys)} of them, the first: "
                            f"{prepared.facts.error[0] if len(examples.keys) else examples.origin}")  # fmt: skip
        splits = np.full(len(examples.keys), "", dtype="<U5")
        splits[readable] = self._split(examples, prepared, readable)
        self._dataset = Dataset(
            name=self._name,
            task=self._labels.task,
            class_names=self._labels.class_names,
            keys=examples.keys,
            labels=self._labels.values,
            groups=examples.groups,
            splits=splits,
            own_split=self._dealt(examples),
            metadata=examples.metadata,
            hidden=examples.hidden,
            pixels=prepared.pixels,
            facts=prepared.facts,
            images=examples.images,
            synthetic=examples.synthetic,
        )
        return self._dataset

    def setup(self) -> DataSpec:
        """Return the facts that a model may know.

        Raises:
            DataError: as `load`, or a class is missing from a split.
        """
        data = self.load()
        rows = np.flatnonzero(data.splits != "")
        if len(rows) < len(data.splits):
            left_out = len(data.splits) - len(rows)
            logger.warning("left out, because they cannot be read: %d of %d images", left_out, len(data.splits))
        self._spec = DataSpec(
            name=data.name,
            task=data.task,
            class_names=data.class_names,
            input=data.pixels.input,
            counts=self._counts(data),
            digest=self._digest(data),
            source=self._origin,
            split=split_digest(data.facts.content[rows], data.splits[rows]),
            synthetic=data.synthetic,
            invariances=self._invariances,
            images={part: len(data.rows(part)) for part in SPLITS},
        )
        return self._spec

    @property
    def spec(self) -> DataSpec:
        """The facts; `setup` comes first."""
        assert self._spec is not None, "setup() comes first"
        return self._spec

    def examples(self, split: Split) -> SplitExamples:
        """One split in its own order, without its pixels."""
        data = self.load()
        rows = data.rows(split)
        return SplitExamples(
            keys=tuple(data.keys[i] for i in rows),
            labels=data.labels[rows],
            metadata={name: tuple(values[i] for i in rows) for name, values in data.metadata.items()},
            groups=None if data.groups is None else tuple(data.groups[i] for i in rows),
        )

    def spread(self, split: Split, limit: int) -> np.ndarray:
        """Places (n,) of at most `limit` images spread over a split: sources may list one class after another."""
        images = len(self.load().rows(split))
        return np.unique(np.linspace(0, images - 1, min(limit, images)).round().astype(int))

    def images(self, split: Split, places: np.ndarray | None = None) -> np.ndarray:
        """Images of a split by their places in it, or all, as they are stored, shape (n, *input.shape)."""
        data = self.load()
        rows = data.rows(split)
        return data.pixels.take(rows if places is None else rows[places])

    def train(self, steps: int | None = None) -> Batches:
        """Training batches, sampled by (seed, epoch): all, or the first `steps` of each epoch."""
        return self._batches("train", shuffle_seed=self._seed, limit=steps)

    def val(self) -> Batches:
        """Validation batches, in order."""
        return self.batches("val")

    def test(self) -> Batches:
        """Test batches, in order."""
        return self.batches("test")

    def batches(self, split: Split) -> Batches:
        """The batches of a split, in order."""
        return self._batches(split)

    def write_split(self, path: Path) -> None:
        """Write who is in which split as a CSV that `data.split_file` takes again."""
        data, labels = self.load(), self._labels
        assert labels is not None
        rows = np.flatnonzero(data.splits != "")
        write_split(
            path,
            keys=tuple(data.keys[i] for i in rows),
            splits=data.splits[rows],
            content=data.facts.content[rows],
            groups=None if data.groups is None else tuple(data.groups[i] for i in rows),
            labels_text=labels.texts()[rows].tolist(),
            metadata={name: tuple(values[i] for i in rows) for name, values in data.metadata.items()},
        )

    def _batches(self, split: Split, shuffle_seed: int | None = None, limit: int | None = None) -> Batches:
        from medexp.data.batches import Batches

        data, labels = self.load(), self._labels
        assert labels is not None
        rows = data.rows(split)
        drawn = shuffle_seed is not None and self._sampling == "balanced"
        return Batches(
            data.pixels,
            rows,
            labels.targets()[rows],
            batch_size=self._batch_size,
            shuffle_seed=shuffle_seed,
            limit=limit,
            probabilities=balanced(labels.matrix()[rows]) if drawn else None,
            workers=self._workers,
        )

    def _split(self, examples: Examples, prepared: Prepared, readable: np.ndarray) -> np.ndarray:
        assert self._labels is not None
        if self._rule.all_test:
            return np.full(len(readable), "test")
        content, pixels = prepared.facts.content[readable], prepared.facts.pixels[readable]
        keys = tuple(examples.keys[i] for i in readable)
        if self._rule.file is not None:
            return read_split(self._rule.file, keys=keys, content=content)
        groups = None if examples.groups is None else [examples.groups[i] for i in readable]
        apart = len(content if groups is None else set(groups))
        groups = joined(pixels, groups).astype(str).tolist()  # another file of the same pixels is the same image
        if self._rule.together is not None:
            groups = joined(read_together(self._rule.together, content), groups).astype(str).tolist()
        if self._dealt(examples) and len(set(groups)) < apart:
            what = "images" if examples.groups is None else "groups"
            logger.info("%d %s stay with another that has the same image", apart - len(set(groups)), what)
        return split(
            self._labels.values[readable],
            content=content,
            groups=groups,
            splits=None if examples.splits is None else np.array(examples.splits)[readable],
            val=self._rule.val,
            test=self._rule.test,
            seed=self._rule.seed,
            fold=self._rule.fold,
            folds=self._rule.folds,
            repeat=self._rule.repeat,
            class_names=self._labels.class_names,
        )

    def _dealt(self, examples: Examples) -> bool:
        """Whether medexp makes the split, or a part of it."""
        given = examples.splits is not None and set(examples.splits) == set(SPLITS)
        return not self._rule.all_test and self._rule.file is None and (not given or self._rule.fold is not None)

    def _counts(self, data: Dataset) -> dict[str, dict[str, int]]:
        """Images per split and class; a class without images in a split is an error, unless images may have none."""
        assert self._labels is not None
        matrix = self._labels.matrix()
        counts: dict[str, dict[str, int]] = {
            split: dict(zip(data.class_names, map(int, matrix[data.rows(split)].sum(axis=0)), strict=True))
            for split in SPLITS
        }
        needed: tuple[Split, ...] = ("train",) if data.task == "multilabel" else SPLITS
        if self._rule.all_test:
            needed = () if data.task == "multilabel" else ("test",)
        empty = [f"{split}: {name}" for split in needed for name, n in counts[split].items() if n == 0]
        filled: tuple[Split, ...] = ("test",) if self._rule.all_test else SPLITS
        if empty or any(not len(data.rows(split)) for split in filled):
            raise DataError(
                f"Every class must be in every split. Received: no image of {', '.join(empty) or 'any'}. Try another "
                "data.split.seed, larger data.split.val and data.split.test, or leave the class out."
            )
        if data.task == "multilabel":
            self._check_scorable(data, counts)
        return counts

    def _check_scorable(self, data: Dataset, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Of some finding there are images with and without it, in validation and in test."""
        for held_out in SPLITS[2:] if self._rule.all_test else SPLITS[1:]:
            images = len(data.rows(held_out))
            if not any(0 < count < images for count in counts[held_out].values()):
                raise DataError(
                    f"No class can be scored on {held_out}: of none are there images with it and without. Received: "
                    f"{images} images, {dict(counts[held_out])}. Try a larger data.split.{held_out} or another "
                    "data.split.seed"
                )

    def _digest(self, data: Dataset) -> str:
        """Of pixels, labels and splits: equal wherever the files lie and whatever they are called."""
        assert self._labels is not None
        named = np.char.add(data.facts.pixels.astype(str), self._labels.texts())
        parts = {split: digest_of(sorted(named[data.rows(split)].tolist())) for split in SPLITS}
        facts = {"task": data.task, "input": data.pixels.input.digest, "classes": data.class_names}
        return digest_of({**facts, "splits": parts})
