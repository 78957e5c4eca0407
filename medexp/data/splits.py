"""Divide images into training, validation and test: grouped, stratified, and always in the same way."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import numpy as np

from medexp.data.dealing import deal
from medexp.data.grouping import Groups, joined
from medexp.errors import DataError, unknown
from medexp.types import SPLITS, Split, digest_of

logger = logging.getLogger(__name__)

_ATTEMPTS = 64  # at a dealing that leaves every class in every part, where groups mix classes
_GROUPS = "patients, or images where none are given; those that share an identical image are one"


def split(
    labels: np.ndarray,
    *,
    content: np.ndarray,
    groups: Sequence[str] | None,
    splits: Sequence[str] | np.ndarray | None,
    val: float,
    test: float,
    seed: int,
    fold: int | None = None,
    folds: int = 5,
    repeat: int = 0,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return train, val or test for each image.

    A group (patient) is in one split only, and so are identical images: groups that share one are dealt as one group,
    whatever their labels. Every class is in every split, in proportion (`dealing.deal`). The answer depends on the
    seed, on what the images contain and on who belongs together. Names of files and groups, the order of images and
    the order of classes do not matter.

    The source's own split is kept. Where it has no val, that is dealt out of its train; where it has no test, that
    is; its groups and images that stand in train and elsewhere stay as they are, for the audit to find.

    With a `fold`, the test images are the same as without, for each fold and repeat. All others, those of the
    source's own train and val too, are dealt into `folds` parts, and the part of that number is val.

    Args:
        labels: class indices (n,), or 0 and 1 for each class (n, classes).
        content: SHA-256 of each image, text (n,); "" where it could not be read.
        groups: name of the group of each image; None where each stands alone.
        splits: the source's own split of each image, or None.
        val: share for validation.
        test: share for test.
        seed: of the dealing.
        fold: which fold is val, from 0 to folds - 1; None: no cross-validation.
        folds: how many, for cross-validation.
        repeat: deals the folds anew.
        class_names: for errors; their indices where None.

    Raises:
        DataError: a class has fewer groups than it must be in splits or folds, a source's split without train.
    """
    answer = _given(splits, len(labels))
    missing = [name for name in SPLITS if not (answer == name).any()]
    if not missing and fold is None:
        return answer
    dealer = _Dealer(labels, np.asarray(content, dtype=str), groups, seed=seed, class_names=class_names)
    if missing == ["val", "test"]:
        if splits is not None:
            logger.info("The source's own split is train alone: val and test are held out of it")
        answer = dealer.everything(val=val, test=test)
    elif missing == ["test"]:
        logger.warning("The source has no test images: %g of the groups of its train are held out for test", test)
        answer = dealer.out_of_train(answer, "test", share=test)
    elif missing == ["val"] and fold is None:
        logger.info("The source has no val images: %g of the groups of its train are held out for val", val)
        answer = dealer.out_of_train(answer, "val", share=val)
    return answer if fold is None else dealer.folded(answer, fold, folds=folds, repeat=repeat)


def split_digest(content: np.ndarray, splits: np.ndarray) -> str:
    """Name a split by who is in which: the order of images, their names and labels do not matter.

    Args:
        content: SHA-256 of each image, text (n,).
        splits: train, val or test of each, text (n,).
    """
    return digest_of(sorted(f"{name} {image}" for name, image in zip(splits, content, strict=True)))


def _given(splits: Sequence[str] | np.ndarray | None, n: int) -> np.ndarray:
    """The split of the source: all train where it has none."""
    given = np.full(n, "train", dtype="<U5") if splits is None else np.asarray(splits, dtype=str)
    names = set(np.unique(given).tolist())
    wrong = sorted(names - set(SPLITS))
    if wrong:
        raise DataError(f"{unknown('split', wrong[0], SPLITS)} It is one that the source gives.")
    if "train" not in names:
        raise DataError(
            f"The source's own split has nothing to train on. Received: {n} images, in {' and '.join(sorted(names))} "
            "alone. Name some of them train, or let medexp split: data.split_column=null for data=manifest."
        )
    return given.astype("<U5")


class _Dealer:
    """Deals one set of images, always in the same way."""

    def __init__(
        self,
        labels: np.ndarray,
        content: np.ndarray,
        groups: Sequence[str] | None,
        *,
        seed: int,
        class_names: Sequence[str] | None,
    ) -> None:
        used = np.arange(labels.shape[1]) if labels.ndim == 2 else np.unique(labels)
        marks = labels > 0 if labels.ndim == 2 else labels[:, np.newaxis] == used
        self._marks = np.column_stack([marks, ~marks.any(axis=1)])  # those of no class are dealt in proportion too
        self._names = [str(i) if class_names is None else class_names[i] for i in used.tolist()]
        self._content = content
        self._group = joined(content, groups)
        self._seed = seed
        apart = len(content if groups is None else set(groups)) - len(np.unique(self._group))
        if apart:
            logger.info("%d groups are kept with another that has an identical image", apart)

    def everything(self, *, val: float, test: float) -> np.ndarray:
        """Deal all images into train, val and test; which are test does not depend on the share of val."""
        groups = self._groups(np.arange(len(self._group)))
        few = self._few(groups, 3)
        if few:
            raise DataError(
                f"A class needs three groups ({_GROUPS}) to be in all three splits. Received: {few}. Collect more, or "
                "give a split of your own: data=manifest data.split_column=..."
            )
        for attempt in range(_ATTEMPTS):
            parts = self._deal(groups, (1 - test, test), (2, 1), f"test {attempt}")
            rest = np.flatnonzero(parts == 0)
            if not len(rest):
                continue
            share = val / (1 - test)
            validates = self._deal(groups.some(rest), (1 - share, share), (1, 1), f"val {attempt}")
            if len(validates):
                parts[rest[validates == 1]] = 2
                return np.asarray(np.array(["train", "test", "val"])[parts[groups.of]])
        raise self._mixed(groups, "split")

    def out_of_train(self, splits: np.ndarray, name: Split, *, share: float) -> np.ndarray:
        """Deal a share of the groups of train, of those that are in no other split, to the split `name`."""
        elsewhere = np.unique(self._group[splits != "train"])
        rows = np.flatnonzero(~np.isin(self._group, elsewhere))
        groups = self._groups(rows)
        few = self._few(groups, 2)
        if few:
            raise DataError(
                f"The source has no {name} images, and a class needs two groups ({_GROUPS}) in train alone to be in "
                f"{name} as well. Received: {few}. Collect more, or give {name} images of your own."
            )
        parts = self._tried(groups, (1 - share, share), name)
        answer = splits.copy()
        answer[rows[parts == 1]] = name
        return answer

    def folded(self, splits: np.ndarray, fold: int, *, folds: int, repeat: int) -> np.ndarray:
        """Deal all images that are not test into folds, one of which is val."""
        rows = np.flatnonzero(splits != "test")
        groups = self._groups(rows)
        few = self._few(groups, folds)
        if few:
            most = int(groups.counts()[:-1].min())
            raise DataError(
                f"A class needs a group ({_GROUPS}) in each of data.split.folds={folds} folds, beside those of the "
                f"test set. Received: {few}. "
                + (f"Override: data.split.folds={most}" if most > 1 else "Collect more, or leave the class out.")
            )
        parts = self._tried(groups, (1 / folds,) * folds, f"fold {repeat}")
        answer = splits.copy()
        answer[rows] = np.where(parts == fold, "val", "train")
        return answer

    def _groups(self, rows: np.ndarray) -> Groups:
        return Groups.of_images(self._group[rows], marks=self._marks[rows], content=self._content[rows])

    def _few(self, groups: Groups, least: int) -> str:
        """Name the classes of fewer than `least` groups."""
        counts = zip(self._names, groups.counts().tolist(), strict=False)
        few = [f"{count} of class {name}" for name, count in counts if count < least]
        return ", ".join(few[:5]) + (f" and {len(few) - 5} more classes" if len(few) > 5 else "")

    def _tried(self, groups: Groups, shares: Sequence[float], salt: str) -> np.ndarray:
        """Return the part of each image, with a group of every class in every part."""
        for attempt in range(_ATTEMPTS):
            parts = self._deal(groups, shares, (1,) * len(shares), f"{salt} {attempt}")
            if len(parts):
                return np.asarray(parts[groups.of])
        raise self._mixed(groups, "part")

    def _deal(self, groups: Groups, shares: Sequence[float], least: Sequence[int], salt: str) -> np.ndarray:
        """Return the part of each group, or nothing; their digests, the seed and `salt` order the dealing."""
        keys = [hashlib.sha256(f"{self._seed} {salt} {digest}".encode()).digest() for digest in groups.digests]
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
        need = np.repeat(np.array(least)[:, np.newaxis], groups.images.shape[1], axis=1)
        need[:, -1] = 0
        coins = np.array([int.from_bytes(keys[row][:7], "big") for row in order.tolist()])
        parts = deal(groups.images[order], shares=np.array(shares), least=need, coins=coins)
        if parts is None:
            return np.zeros(0, dtype=np.intp)
        answer = np.empty(len(order), dtype=np.intp)
        answer[order] = parts
        return answer

    def _mixed(self, groups: Groups, what: str) -> DataError:
        return DataError(
            f"Groups mix classes in such a way that no dealing was found with every class in every {what}. Received: "
            f"{len(groups.digests)} groups of {len(self._names)} classes. Try another data.split.seed, leave a class "
            "out, or give a split of your own: data=manifest data.split_column=..."
        )
