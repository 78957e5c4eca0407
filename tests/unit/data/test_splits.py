from __future__ import annotations

import csv
import hashlib
import itertools
import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

from medexp.data.splits import split, split_digest
from medexp.errors import DataError
from medexp.types import SPLITS


def contents(n: int, *, salt: str = "") -> np.ndarray:
    """The SHA-256 of n different images."""
    return np.array([hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(n)])


def deal(labels: np.ndarray, groups: Sequence[str] | None = None, **more: Any) -> np.ndarray:
    asked = {"content": contents(len(labels)), "splits": None, "val": 0.15, "test": 0.15, "seed": 0, **more}
    return split(labels, groups=groups, **asked)


def patients(*per_class: int, images: int = 2) -> tuple[np.ndarray, list[str]]:
    """So many patients of each class, with `images` each."""
    labels = [label for label, count in enumerate(per_class) for _ in range(count * images)]
    groups = [f"c{label}p{i}" for label, count in enumerate(per_class) for i in range(count) for _ in range(images)]
    return np.array(labels), groups


def crossing(groups: Sequence[str], splits: np.ndarray) -> list[str]:
    """Groups that are in more than one split."""
    found = defaultdict(set)
    for group, name in zip(groups, splits, strict=True):
        found[group].add(name)
    return [group for group, names in found.items() if len(names) > 1]


def shares(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The share of each class that is in train, val and test, (3, classes)."""
    marks = labels if labels.ndim == 2 else np.eye(labels.max() + 1, dtype=int)[labels]
    return np.array([marks[splits == name].sum(axis=0) / marks.sum(axis=0) for name in SPLITS])


@pytest.fixture(scope="module")
def red_cells() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Labels, smears and content of the red cells."""
    for folder in (os.environ.get("MEDEXP_DATA_DIR"), ROOT / "datasets", ROOT.parent / "shared" / "data"):
        root = Path(folder or "") / "red_cells"
        if folder and (root / "manifest.csv").is_file():
            with (root / "manifest.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            labels = np.unique([row["label"] for row in rows], return_inverse=True)[1]
            content = [hashlib.sha256((root / row["image"]).read_bytes()).hexdigest() for row in rows]
            return labels, [row["smear_id"] for row in rows], np.array(content)
    pytest.skip("no real images: red_cells/manifest.csv is neither in $MEDEXP_DATA_DIR nor in datasets/")


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
    splits = deal(labels, groups, val=val, test=test, seed=seed)
    assert crossing(groups, splits) == []
    for label in range(len(counts)):
        assert set(splits[labels == label]) == set(SPLITS)


@settings(max_examples=60, deadline=None)
@given(
    marks=st.lists(st.tuples(*[st.booleans()] * 4), min_size=3, max_size=8),
    seed=st.integers(0, 1000),
)
def test_every_class_is_everywhere_wherever_that_can_be_done(marks: list[tuple[bool, ...]], seed: int) -> None:
    labels = np.array(marks, dtype=int)
    labels = labels[:, labels.sum(axis=0) >= 3]
    if not labels.shape[1]:
        return
    possible = any(
        all(set(np.array(dealt)[column > 0]) == {0, 1, 2} for column in labels.T)
        for dealt in itertools.product(range(3), repeat=len(labels))
    )
    try:
        splits = deal(labels, seed=seed)
    except DataError as error:
        assert not possible, error  # noqa: PT017
        assert "Groups mix classes" in str(error)  # noqa: PT017
        return
    for column in labels.T:
        assert set(splits[column > 0]) == set(SPLITS)


@pytest.mark.parametrize("seed", range(5))
def test_many_rare_classes_that_share_groups_are_all_everywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((60, 25), dtype=int)
    for third in (range(20), range(20, 40), range(40, 60)):  # so there is a way to do it
        for column in range(25):
            labels[rng.choice(third), column] = 1
    splits = deal(labels)
    for column in labels.T:
        assert set(splits[column > 0]) == set(SPLITS)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), task=st.sampled_from(["single", "multi"]), fold=st.sampled_from([None, 1]))
def test_order_names_of_groups_and_order_of_classes_do_not_change_who_is_where(
    data: st.DataObject, task: str, fold: int | None
) -> None:
    n = 90
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    single = rng.integers(0, 3, n)
    labels = single if task == "single" else (rng.random((n, 3)) < 0.4).astype(int)
    groups, content = [f"g{i}" for i in rng.integers(0, 40, n)], contents(n)
    content[:6] = content[6:12]  # identical images of other groups
    expected = split(labels, content=content, groups=groups, splits=None, val=0.2, test=0.2, seed=3, fold=fold, folds=3)

    order = np.array(data.draw(st.permutations(range(n))))
    rename = dict(
        zip(sorted(set(groups)), data.draw(st.permutations([f"patient {i}" for i in range(40)])), strict=False)
    )
    classes = np.array(data.draw(st.permutations(range(3))))
    relabelled = classes[labels] if task == "single" else labels[:, classes]
    answer = split(
        relabelled[order],
        content=content[order],
        groups=[rename[groups[i]] for i in order],
        splits=None,
        val=0.2,
        test=0.2,
        seed=3,
        fold=fold,
        folds=3,
    )
    assert (answer == expected[order]).all()


def test_other_images_are_split_otherwise() -> None:
    labels, groups = patients(20, 20)
    assert (deal(labels, groups) != deal(labels, groups, content=contents(len(labels), salt="other"))).any()


def test_identical_images_are_in_one_split_whatever_their_groups_and_labels() -> None:
    labels, groups = patients(30, 30, images=1)
    content = contents(60)
    content[[0, 31]] = content[10]  # one image as three patients, with two labels
    content[32] = content[33]
    groups[33] = groups[31]  # and a patient of them that has an image of a fourth
    for seed in range(20):
        splits = deal(labels, groups, content=content, seed=seed)
        assert len(set(splits[[0, 10, 31, 32, 33]])) == 1


def test_images_that_cannot_be_read_are_not_taken_for_identical() -> None:
    content = contents(40)
    content[:20] = ""
    assert set(deal(np.arange(40) % 2, content=content)[:20]) == set(SPLITS)


@pytest.mark.parametrize(("val", "test"), [(0.15, 0.15), (0.1, 0.2), (0.3, 0.3), (0.25, 0.05)])
def test_single_images_of_two_classes_are_shared_out_to_the_image(val: float, test: float) -> None:
    counts = (1349, 3883)  # as many as PneumoniaMNIST has to train and validate with
    labels = np.repeat([0, 1], counts)
    splits = deal(labels, val=val, test=test)
    for label, count in enumerate(counts):
        for name, share in (("train", 1 - val - test), ("val", val), ("test", test)):
            assert abs((splits[labels == label] == name).sum() - share * count) < 1


@pytest.mark.parametrize("seed", range(5))
def test_red_cells_are_split_by_smear_with_every_class_within_a_few_points(
    red_cells: tuple[np.ndarray, list[str], np.ndarray], seed: int
) -> None:
    labels, smears, content = red_cells
    splits = deal(labels, smears, content=content, seed=seed)
    assert crossing(smears, splits) == []
    off = np.abs(shares(labels, splits) - [[0.7], [0.15], [0.15]])
    assert off.max() < 0.06  # the rarest class by smears has 13 of them: one is 7 points
    assert off.mean() < 0.012


def test_red_cells_are_folded_by_smear_with_every_class_within_a_few_points(
    red_cells: tuple[np.ndarray, list[str], np.ndarray],
) -> None:
    labels, smears, content = red_cells
    for fold in range(5):
        splits = deal(labels, smears, content=content, fold=fold)
        assert crossing(smears, splits) == []
        rest = splits != "test"
        assert np.abs(shares(labels[rest], splits[rest])[1] - 0.2).max() < 0.04


def test_a_group_of_two_fifths_of_all_images_does_not_spoil_the_rest() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, 500)
        groups = ["large" if i < 200 else f"g{i % 60}" for i in range(500)]
        splits = deal(labels, groups, seed=seed)
        assert set(splits[:200]) == {"train"}
        assert np.abs(shares(labels, splits) - [[0.7], [0.15], [0.15]]).max() < 0.06


def test_a_large_group_of_a_rare_class_is_trained_on() -> None:
    labels = np.array([0] * 100 + [0, 0] + [1] * 60)
    groups = ["large"] * 100 + ["a", "b"] + [f"g{i}" for i in range(60)]
    for seed in range(10):
        assert deal(labels, groups, seed=seed)[0] == "train"


def test_several_labels_keep_their_shares_where_groups_mix_them() -> None:
    rng = np.random.default_rng(0)
    of = rng.integers(0, 400, 3000)
    ill = rng.random((400, 6)) < [0.03, 0.05, 0.1, 0.2, 0.3, 0.5]
    labels = (rng.random((3000, 6)) < np.where(ill[of], 0.7, 0.01)).astype(int)
    splits = deal(labels, [f"p{i}" for i in of])
    assert crossing([str(i) for i in of], splits) == []
    assert np.abs(shares(labels, splits) - [[0.7], [0.15], [0.15]]).max() < 0.01
    healthy = ~labels.any(axis=1)
    assert (splits[healthy] == "test").mean() == pytest.approx(0.15, abs=0.01)


def test_not_only_images_but_patients_are_shared_out() -> None:
    labels = np.array([0, 1] * 200)
    groups = [f"large{i // 20}" if i < 200 else f"small{i}" for i in range(400)]
    for seed in range(5):
        splits = deal(labels, groups, seed=seed)
        held = len({group for group, name in zip(groups, splits, strict=True) if name == "test"})
        assert held == pytest.approx(0.15 * len(set(groups)), abs=7)


def test_the_seed_decides() -> None:
    labels, groups = patients(20, 20)
    assert (deal(labels, groups, seed=5) == deal(labels, groups, seed=5)).all()
    assert (deal(labels, groups, seed=5) != deal(labels, groups, seed=6)).any()


def test_another_seed_deals_groups_of_unequal_size_otherwise() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 60, 60)  # of all different counts: nothing is equal but by chance
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    labels = rng.integers(0, 2, len(groups))
    same = [np.mean(deal(labels, groups, seed=s) == deal(labels, groups, seed=s + 1)) for s in range(6)]
    assert np.mean(same) < 0.7  # 0.7^2 + 2 * 0.15^2 = 0.54 by chance


def test_the_test_images_do_not_depend_on_the_share_of_val() -> None:
    labels, groups = patients(30, 50)
    assert ((deal(labels, groups) == "test") == (deal(labels, groups, val=0.3) == "test")).all()


@pytest.mark.parametrize("counts", [(2, 10), (10, 1)])
def test_a_class_of_two_groups_is_refused(counts: tuple[int, int]) -> None:
    few = f"{min(counts)} of class {('benign', 'malignant')[np.argmin(counts)]}"
    with pytest.raises(DataError, match=f"three groups.*Received: {few}. Collect more"):
        deal(*patients(*counts), class_names=("benign", "malignant"))


def test_a_class_whose_groups_are_the_same_images_is_refused() -> None:
    labels, content = np.array([0] * 9 + [1] * 3), contents(12)
    content[10] = content[9]
    with pytest.raises(DataError, match=r"three groups.*Received: 2 of class 1"):
        deal(labels, content=content)


def test_a_label_that_no_image_has_is_refused() -> None:
    with pytest.raises(DataError, match=r"three groups.*Received: 0 of class hernia"):
        deal(np.column_stack([np.arange(12) % 2, np.zeros(12, dtype=int)]), class_names=("mass", "hernia"))


def test_three_groups_are_enough_whatever_the_shares() -> None:
    assert set(deal(*patients(3, 3), val=0.3, test=0.6)) == set(SPLITS)


def test_folds_share_the_test_set_and_validate_each_other_image_once() -> None:
    labels, groups = patients(12, 30)
    held = deal(labels, groups) == "test"
    for repeat in range(2):
        dealt = [deal(labels, groups, fold=fold, folds=4, repeat=repeat) for fold in range(4)]
        for splits in dealt:
            assert ((splits == "test") == held).all()
            assert crossing(groups, splits) == []
            for label in (0, 1):
                assert set(splits[labels == label]) == set(SPLITS)
        validated = np.sum([splits == "val" for splits in dealt], axis=0)
        assert (validated == ~held).all()


def test_a_repeat_deals_the_folds_anew() -> None:
    labels, groups = patients(20, 20)
    first, second = (deal(labels, groups, fold=0, repeat=repeat) for repeat in range(2))
    assert (first != second).any()


def test_no_fold_is_always_the_smaller_one() -> None:
    labels = np.array([0] * 12 + [1] * 12)  # 20 beside the test images, for 3 folds
    sizes = [[(deal(labels, fold=fold, folds=3, seed=seed) == "val").sum() for fold in range(3)] for seed in range(15)]
    assert all(sorted(size) == [6, 7, 7] for size in sizes)
    assert {int(np.argmin(size)) for size in sizes} == {0, 1, 2}


def test_a_class_of_fewer_groups_than_folds_is_refused() -> None:
    labels, groups = patients(5, 30)  # 1 for test leaves 4
    assert set(deal(labels, groups, fold=0, folds=4)[labels == 0]) == set(SPLITS)
    with pytest.raises(DataError, match=r"data.split.folds=5 folds.*Received: 4 of class 0.*data.split.folds=4"):
        deal(labels, groups, fold=0, folds=5)


def test_the_split_of_the_source_stays() -> None:
    own = np.array(["test", "train", "val"] * 4)
    assert (deal(np.arange(12) % 2, splits=tuple(own)) == own).all()


def test_folds_of_a_split_of_the_source_keep_its_test_and_pool_the_rest() -> None:
    labels, own = np.arange(60) % 2, np.array(["test", "train", "train", "val", "train"] * 12)
    content = contents(60)
    content[1] = content[3]  # in train and val of the source
    dealt = [deal(labels, splits=own, content=content, fold=fold) for fold in range(5)]
    for splits in dealt:
        assert ((splits == "test") == (own == "test")).all()
        assert splits[1] == splits[3]
    assert (np.sum([splits == "val" for splits in dealt], axis=0) == (own != "test")).all()


def test_val_is_dealt_out_of_train_where_the_source_has_none(caplog: pytest.LogCaptureFixture) -> None:
    labels, groups = patients(20, 40)
    own = np.where(np.arange(120) % 20 < 4, "test", "train")
    with caplog.at_level(logging.INFO):
        splits = deal(labels, groups, splits=own, val=0.25)
    assert ((splits == "test") == (own == "test")).all()
    assert crossing(groups, splits) == []
    train = own == "train"
    assert shares(labels[train], splits[train])[1] == pytest.approx([0.25, 0.25], abs=0.01)
    assert "no val images: 0.25 of the groups of its train" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        deal(labels, groups, splits=own, fold=0)
    assert "no val images" not in caplog.text  # the fold is val


def test_test_is_dealt_out_of_train_where_the_source_has_none(caplog: pytest.LogCaptureFixture) -> None:
    labels, groups = patients(20, 40)
    own = np.where(np.arange(120) % 20 < 4, "val", "train")
    with caplog.at_level(logging.INFO):
        splits = deal(labels, groups, splits=own, test=0.25)
        held = deal(labels, groups, splits=own, test=0.25, fold=1) == "test"
    assert ((splits == "val") == (own == "val")).all()
    train = own == "train"
    assert shares(labels[train], splits[train])[2] == pytest.approx([0.25, 0.25], abs=0.01)
    assert ((splits == "test") == held).all()
    assert "no test images: 0.25 of the groups of its train" in caplog.text


def test_what_the_source_has_in_two_splits_is_not_dealt_to_a_third() -> None:
    labels, groups = patients(20, 40, images=1)
    own, content = np.array(["train"] * 50 + ["test"] * 10), contents(60)
    labels = np.arange(60) % 2
    groups[:5] = groups[55:]  # patients in train and test
    content[5:10] = content[50:55]  # images in train and test
    for seed in range(5):
        assert set(deal(labels, groups, splits=own, content=content, val=0.4, seed=seed)[:10]) == {"train"}


def test_train_that_is_too_small_to_deal_val_out_of_is_refused() -> None:
    own = np.array(["test"] * 6 + ["train"] * 5)
    labels = np.array([0, 1] * 3 + [0, 1, 1, 1, 1])
    with pytest.raises(
        DataError, match=r"no val images.*two groups.*Received: 1 of class 0\. Collect more, or give val"
    ):
        deal(labels, splits=own)


def test_a_source_that_is_train_alone_is_split_as_one_without_a_split() -> None:
    labels, groups = patients(10, 10)
    assert (deal(labels, groups, splits=["train"] * 40) == deal(labels, groups)).all()


def test_a_source_without_train_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"nothing to train on.*4 images, in test and val alone.*data.split_column=null"
    ):
        deal(np.arange(4) % 2, splits=["test", "val"] * 2)


def test_an_unknown_split_of_the_source_is_refused() -> None:
    with pytest.raises(DataError, match=re.escape("Unknown split. Received: 'valid'. Available: test, train, val.")):
        deal(np.arange(4) % 2, splits=["train", "valid"] * 2)


def test_the_digest_names_who_is_where_and_nothing_else() -> None:
    content, splits = contents(6), np.array(["train", "val", "test"] * 2)
    name = split_digest(content, splits)
    assert re.fullmatch("[0-9a-f]{16}", name)
    order = [3, 1, 5, 0, 2, 4]
    assert split_digest(content[order], splits[order]) == name
    assert split_digest(content, splits[order]) != name
    assert split_digest(content[:5], splits[:5]) != name
    assert split_digest(np.append(content, content[0]), np.append(splits, splits[0])) != name  # twice is not once


def test_a_hundred_thousand_images_are_split_in_seconds() -> None:
    rng = np.random.default_rng(0)
    of = rng.integers(0, 20_000, 100_000)
    ill = rng.random((20_000, 14)) < rng.uniform(0.002, 0.2, 14)
    labels = (rng.random((100_000, 14)) < np.where(ill[of], 0.6, 0.01)).astype(int)
    content, groups = contents(100_000), [f"p{i}" for i in of]
    start = time.process_time()  # other tests may run beside it
    splits = deal(labels, groups, content=content)
    assert time.process_time() - start < 3
    assert np.abs(shares(labels, splits) - [[0.7], [0.15], [0.15]]).max() < 0.002
