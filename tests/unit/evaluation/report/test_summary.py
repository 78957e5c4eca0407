from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluated import AUDIT, ENVIRONMENT, around, evaluated, sections

from medexp.evaluation.evidence import Corrupted, Evidence, Resampling
from medexp.evaluation.report.cautions import cautions
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.headline import headlines, sentences
from medexp.evaluation.report.wording import aim_in_words, interval, listed, of_hundred
from medexp.types import Estimate, Task

SAYS: dict[Task, list[str]] = {
    "binary": [
        "resnet18 answers whether an image is pneumonia or normal",
        "It has learnt from 1,000 images of pneumoniamnist; on 120 others its settings were chosen",
        "It was measured on 90 images of the same data from 60 groups (such as patients)",
        "From a probability of 0.400 on it says pneumonia. It finds 94 of 100 (91 to 97) images of pneumonia",
        "clears 80 of 100 (77 to 83) of the others",
        "miss the observed frequencies by 0.030",
        "no sure answer for 15 of 100 test images",
        "It refuses 6 of 100 (4 to 8) images",
    ],
    "multiclass": ["which of 3 classes an image belongs to: basophil, eosinophil or erythro/blast", "right for "],
    "multilabel": [
        "which of 3 findings an image shows: edema, mass and nodule",
        "mean AUC is 0.9",
        "15 of 100 findings",
    ],
    "ordinal": ["which of 3 grades an image has, from none to severe", "off by 0.", "grades"],
}
FIRST: dict[Task, str] = {
    "binary": "AUC",
    "multiclass": "AUC",
    "multilabel": "AUC",
    "ordinal": "Quadratic kappa",
}


def clean(folder: Path) -> Evidence:
    """An evaluation that there is nothing to say about."""
    found = evaluated(folder, subgroups=None)
    many = {"train": {"normal": 500}, "test": {"normal": 400, "pneumonia": 300}}
    return replace(found, data={**found.data, "counts": many, "images": {}})


@pytest.mark.parametrize("task", SAYS)
def test_the_summary_says_in_words_what_it_is_and_what_came_out(task: Task, tmp_path: Path) -> None:
    known = Facts(evaluated(tmp_path, task), **sections())
    text = " ".join(sentences(known))
    assert [wanted for wanted in SAYS[task] if wanted not in text] == []
    shown = headlines(known)
    assert shown[0].title == FIRST[task]
    assert len(shown) == 4


def test_of_other_data_the_summary_says_so(tmp_path: Path) -> None:
    text = " ".join(sentences(Facts(replace(evaluated(tmp_path), trained_on="zzzz"), **sections())))
    assert "other data than it has learnt from" in text
    assert "What it has learnt from is not on record here" in text


@pytest.mark.parametrize(
    ("level", "says", "change", "given"),
    [
        ("refuse", "A program drew the images", lambda e: replace(e, data={**e.data, "synthetic": True}), {}),
        ("refuse", "3 findings that nobody accepted", None, {"audit": {**AUDIT, "refused": 3, "findings": []}}),
        ("warn", "Accepted in the audit: 2 cases of duplicates across splits. Reason given: the official split.", None,
         {"audit": AUDIT}),
        ("note", "The audit warns of border tells class", None,
         {"audit": {**AUDIT, "findings": [{"kind": "border_tells_class", "severity": "warn", "summary": "It does.",
                                           "instances": [{"id": "a", "accepted": None}]}]}}),
        ("warn", "Nobody looked for leaks", None, {"audit": None}),
        ("warn", "A small test set: 12 images of pneumonia",
         lambda e: replace(e, data={**e.data, "counts": {"test": {"normal": 300, "pneumonia": 12}}}), {}),
        ("warn", "No intervals", lambda e: replace(e, resampling=Resampling(0, 0.95, "group", 60)), {}),
        ("note", "names no groups", lambda e: replace(e, resampling=Resampling(9, 0.95, "image", 60)), {}),
        ("warn", "Only 8 groups", lambda e: replace(e, resampling=Resampling(9, 0.95, "group", 8)), {}),
        ("note", "other data than it was trained on", lambda e: replace(e, trained_on="zzzz"), {}),
        ("warn", "Validation cannot reach the aim, sensitivity at least 0.95",
         lambda e: replace(e, operating=replace(e.operating, chosen=replace(e.operating.chosen, met=False))), {}),
        ("warn", "Calibration makes the test split worse: log loss 0.400 to 0.500",
         lambda e: replace(e, calibration=replace(e.calibration, before=e.calibration.after,
                                                  after=replace(e.calibration.after, log_loss=around(0.5)))), {}),
        ("note", "too sure: calibration slope 0.70 (0.60 to 0.80)",
         lambda e: replace(e, calibration=replace(e.calibration, after=replace(e.calibration.after,
                                                                               slope=Estimate(0.7, 0.6, 0.8)))), {}),
        ("warn", "Coverage is not as chosen, beyond chance, for pneumonia: validation and test differ",
         lambda e: replace(e, abstention=replace(e.abstention, within={"pneumonia": False, "all": False})), {}),
        ("warn", "under noise of severity 2 of 5, AUC falls from 0.90 to 0.40 (0.37 to 0.43)",
         lambda e: replace(e, robustness=replace(e.robustness,
                                                 corrupted=(Corrupted("noise", 2, {"auc": around(0.4)}),))), {}),
        ("warn", "do not show what was learnt", lambda e: replace(e, saliency=replace(e.saliency, passed=False)), {}),
        ("note", "2 files differed", None,
         {"environment": {**ENVIRONMENT, "git_dirty": True, "git_changes": ["a", "b"]}}),
    ],
)  # fmt: skip
def test_a_caution_stands_where_it_applies_and_only_there(
    level: str, says: str, change: Callable[[Any], Evidence] | None, given: dict[str, Any], tmp_path: Path
) -> None:
    found, quiet = clean(tmp_path), {"audit": {**AUDIT, "accepted": 0, "findings": []}}
    assert cautions(Facts(found, **sections(**quiet))) == ()
    changed = found if change is None else change(found)
    (caution,) = cautions(Facts(changed, **sections(**{**quiet, **given})))
    assert says in caution.text
    assert caution.level == level


def test_a_subgroup_is_worse_only_where_its_interval_says_so(tmp_path: Path) -> None:
    found, quiet = evaluated(tmp_path), {"audit": {**AUDIT, "findings": []}}
    found = replace(clean(tmp_path), subgroups=found.subgroups)
    (caution,) = cautions(Facts(found, **sections(**quiet)))
    assert "It does worse for sex f: AUC 0.800 (0.770 to 0.830), over all 0.984." in caution.text
    worst = replace(found.subgroups.worst, metrics={"auc": Estimate(0.8, 0.5, 0.99)})  # type: ignore[type-var, union-attr]
    chance = replace(found, subgroups=replace(found.subgroups, worst=worst))  # type: ignore[type-var]
    assert cautions(Facts(chance, **sections(**quiet))) == ()


def test_the_gravest_caution_comes_first(tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    found = replace(found, data={**found.data, "synthetic": True}, resampling=Resampling(9, 0.95, "image", 90))
    levels = [caution.level for caution in cautions(Facts(found, **sections()))]
    assert levels == sorted(levels, key=["refuse", "warn", "note"].index)
    assert {"refuse", "warn", "note"} == set(levels)


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100"), (0.9996, "99.9"), (0.0, "0"), (0.0004, "0.1"), (0.964, "96"), (0.996, "99.6")]
)
def test_nearly_all_is_not_all(share: float, text: str) -> None:
    assert of_hundred(Estimate(share, share, share)) == f"{text} of 100"


def test_a_value_without_an_interval_has_none() -> None:
    assert interval(Estimate(0.5, 0.5, 0.5)) == ""
    assert interval(Estimate(0.5, float("nan"), float("nan"))) == ""
    assert interval(Estimate(0.5, 0.25, 0.75), 2) == "0.25 to 0.75"


def test_many_names_are_counted() -> None:
    assert listed([]) == ""
    assert listed(["a", "b", "c"], "or") == "a, b or c"
    assert listed(list("abcdefghij")) == "a, b, c, d, e, f and 4 more"


@pytest.mark.parametrize(
    ("aim", "words"),
    [("youden", "Youden's index"), ("specificity>=0.9", "specificity at least 0.9"),
     ("cost=10", "a missed finding costs 10 false alarms"), ("most_probable", "the most probable class")],
)  # fmt: skip
def test_an_aim_is_said_in_words(aim: str, words: str) -> None:
    assert aim_in_words(aim) == words
