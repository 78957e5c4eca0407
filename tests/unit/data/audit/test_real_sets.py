"""What is known of the real data sets is found, and nothing is found where nothing is the matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Acceptance
from medexp.data.dataset import Dataset

ROOT = Path(__file__).resolve().parents[4]
Audited = Callable[..., Any]


@pytest.fixture(scope="module")
def of_pneumonia(pneumonia: Dataset, audited: Audited) -> Any:
    return audited(pneumonia)


@pytest.fixture(scope="module")
def of_breast(breast: Dataset, audited: Audited) -> Any:
    return audited(breast)


def finding(report: Any, kind: str) -> Any:
    return next((finding for finding in report.findings if finding.kind == kind), None)


def test_the_eight_images_in_train_and_val_of_pneumoniamnist_are_found_and_nothing_else_is_refused(
    of_pneumonia: Any,
) -> None:
    assert {instance.kind for instance in of_pneumonia.refused} == {"duplicates_across_splits"}
    assert len(of_pneumonia.refused) == 8
    assert {frozenset(image.split for image in i.images) for i in of_pneumonia.refused} == {frozenset({"train", "val"})}


def test_the_prevalence_shift_of_pneumoniamnist_is_found(of_pneumonia: Any) -> None:
    shift = finding(of_pneumonia, "prevalence_shift")
    assert shift.severity == "warn"
    (of_val,) = [instance for instance in shift.instances if "val" in instance.numbers]
    assert (round(of_val.numbers["val"], 3), round(of_val.numbers["test"], 3)) == (0.742, 0.625)
    assert of_val.numbers["p"] < 0.001


def test_chest_x_rays_that_merely_look_alike_are_no_near_duplicates(of_pneumonia: Any) -> None:
    assert not [finding for finding in of_pneumonia.findings if finding.kind.startswith("near_")]


def test_the_contradictory_pair_of_breastmnist_is_found(of_breast: Any) -> None:
    (pair,) = finding(of_breast, "conflicting_labels").instances
    assert [(image.split, image.label) for image in pair.images] == [
        ("train", "malignant"),
        ("test", "normal or benign"),
    ]
    assert len(finding(of_breast, "duplicates_across_splits").instances) == 1


def test_breastmnist_shows_the_same_lesion_in_different_splits(of_breast: Any) -> None:
    """Known of its source (Pawlowska et al., Data in Brief 48:109247, 2023); 125 pairs, seen by eye."""
    near = finding(of_breast, "near_duplicates_across_splits")
    assert len(near.instances) == 125
    assert min(pair.numbers["correlation"] for pair in near.instances) >= near.statistics["threshold"] >= 0.9


def test_a_set_whose_known_findings_are_accepted_is_not_refused_and_one_more_is(
    pneumonia: Dataset, of_pneumonia: Any, audited: Audited
) -> None:
    items = tuple(instance.id for instance in of_pneumonia.refused)
    accept = [Acceptance("duplicates_across_splits", items, "the official split")]
    assert audited(pneumonia, accept=accept).refused == ()
    assert {i.accepted for i in audited(pneumonia, accept=accept).accepted} == {"the official split"}
    splits = pneumonia.splits.copy()
    within = next(f for f in of_pneumonia.findings if f.kind == "duplicates_within_split").instances
    known = {token for instance in of_pneumonia.refused for token in instance.tokens}
    moved = next(i for i in within if not set(i.tokens) & known).images[0].row
    splits[moved] = "test" if splits[moved] != "test" else "train"
    (new,) = audited(Dataset(**{**vars(pneumonia), "splits": splits}), accept=accept).refused
    assert moved in {image.row for image in new.images}


@pytest.mark.parametrize("name", ["pneumonia", "breast"])
def test_what_is_accepted_of_an_official_split_is_exactly_what_is_refused_of_it(
    request: pytest.FixtureRequest, name: str
) -> None:
    config = OmegaConf.load(ROOT / "conf" / "data" / f"{name}mnist.yaml")
    listed = {(item.finding, name) for item in config.accept for name in item["items"]}
    assert {(i.kind, i.id) for i in request.getfixturevalue(f"of_{name}").refused} == listed


def test_one_more_copy_of_an_accepted_image_of_pneumoniamnist_is_refused(
    pneumonia: Dataset, of_pneumonia: Any, audited: Audited
) -> None:
    accept = [Acceptance("duplicates_across_splits", tuple(i.id for i in of_pneumonia.refused), "the official split")]
    copied = of_pneumonia.refused[0].images[0].row
    rows = np.append(np.arange(len(pneumonia.keys)), copied)
    more = Dataset(
        **{
            **vars(pneumonia),
            "keys": (*pneumonia.keys, "one more"),
            "labels": pneumonia.labels[rows],
            "splits": np.append(pneumonia.splits, "test"),
            "facts": type(pneumonia.facts)(*(column[rows] for column in vars(pneumonia.facts).values())),
            "pixels": type(pneumonia.pixels)(pneumonia.pixels.pixels[rows], pneumonia.pixels.input),
        }
    )
    (refused,) = audited(more, accept=accept).refused
    assert "one more" in {image.key for image in refused.images}


def test_another_pair_of_accepted_images_of_breastmnist_is_refused(
    breast: Dataset, of_breast: Any, audited: Audited
) -> None:
    near = "near_duplicates_across_splits"
    pairs = {i.id: set(i.tokens) for i in of_breast.refused if i.kind == near}
    new = next(
        name
        for name, tokens in pairs.items()
        if tokens <= set().union(*(others for other, others in pairs.items() if other != name))
    )
    others = {kind: tuple(i.id for i in of_breast.refused if i.kind == kind) for kind in KINDS}
    others[near] = tuple(name for name in others[near] if name != new)
    accept = [Acceptance(kind, items, "the official split") for kind, items in others.items() if items]
    assert {instance.id for instance in audited(breast, accept=accept).refused} == {new}


def test_the_phantom_raises_no_alarm(phantom: Dataset, audited: Audited) -> None:
    report = audited(phantom, probe=True)
    assert [(f.severity, f.kind) for f in report.findings] == [("note", "shortcut_probe")]
    assert report.findings[0].statistics["auc_without_file_size"] == pytest.approx(0.5, abs=0.06)


def test_a_split_of_red_cells_that_ignores_its_groups_is_refused(
    red_cells: Callable[..., Dataset], deal: Any, audited: Audited
) -> None:
    report = audited(red_cells(lambda smears: deal(smears, grouped=False), step=6, grouped=True))
    crossing = finding(report, "group_in_two_splits")
    assert crossing.severity == "refuse"
    assert len(crossing.instances) > 100
    assert finding(report, "ungrouped_identity") is None


def test_a_split_of_red_cells_that_ignores_the_smear_is_refused_where_smear_id_is_but_a_column(
    red_cells: Callable[..., Dataset], deal: Any, audited: Audited
) -> None:
    report = audited(red_cells(lambda smears: deal(smears, grouped=False), step=6, grouped=False, column=True))
    crossing = finding(report, "ungrouped_identity")
    assert crossing.severity == "refuse"
    assert [instance.tokens for instance in crossing.instances] == [("smear_id",)]
    assert crossing.instances[0].numbers["crossing"] > 100


def test_the_same_field_under_two_smears_of_red_cells_is_found_and_the_smears_are_named(
    red_cells: Callable[..., Dataset], deal: Any, audited: Audited
) -> None:
    """Smears 041139359661 and f798ac34d547 show the same cells, shifted; here one is all train, the other all val."""

    def apart(smears: list[str]) -> list[str]:
        known = {"041139359661": "train", "f798ac34d547": "test"}
        return [known.get(smear, split) for smear, split in zip(smears, deal(smears), strict=True)]

    report = audited(red_cells(apart, grouped=True))
    near = finding(report, "near_duplicates_across_splits")
    assert "041139359661 and f798ac34d547" in near.summary
    linked = [{image.group for image in pair.images} for pair in near.instances]
    assert sum(pair == {"041139359661", "f798ac34d547"} for pair in linked) >= 20
    assert len(near.instances) < 80  # of 31 million pairs: no flood
    assert finding(report, "group_in_two_splits") is None


def test_the_report_is_the_same_in_whatever_order_the_images_come(breast: Dataset, audited: Audited) -> None:
    order = np.random.default_rng(3).permutation(len(breast.keys))
    facts = type(breast.facts)(*(column[order] for column in vars(breast.facts).values()))
    pixels = type(breast.pixels)(breast.pixels.pixels[order], breast.pixels.input)
    shuffled = Dataset(
        **{
            **vars(breast),
            "keys": tuple(breast.keys[i] for i in order),
            "labels": breast.labels[order],
            "splits": breast.splits[order],
            "facts": facts,
            "pixels": pixels,
        }
    )
    a, b = audited(breast, probe=True), audited(shuffled, probe=True)
    assert sorted(i.tokens for i in a.refused) == sorted(i.tokens for i in b.refused)
    assert [f.summary for f in a.findings] == [f.summary for f in b.findings]
