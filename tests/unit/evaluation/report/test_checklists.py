from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluated import PASSPORT, SAID, evaluated, nothing, sections

from medexp.evaluation.evidence import Subgroup
from medexp.evaluation.report import claim, model_card, tripod
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.topics import MISSING
from medexp.evaluation.report.write import checklists_of

ITEMS = (*model_card.ITEMS, *tripod.ITEMS, *claim.ITEMS)
TRIPOD_PARTS = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}  # Collins et al., 2024


def facts(folder: Path, *, found: Any = None, **changes: Any) -> Facts:
    return Facts(found or evaluated(folder), **sections(**changes))


def by_number(checklist: Any) -> dict[str, Any]:
    return {row.item.number: row for row in checklist.items}


def test_tripod_has_its_27_items_and_52_parts() -> None:
    wanted = [
        f"{number}{'abcdefg'[part] if number in TRIPOD_PARTS else ''}"
        for number in range(1, 28)
        for part in range(TRIPOD_PARTS.get(number, 1))
    ]
    assert [item.number for item in tripod.ITEMS] == wanted
    assert len(wanted) == 52


def test_claim_has_its_44_items() -> None:
    assert [item.number for item in claim.ITEMS] == [str(number) for number in range(1, 45)]


def test_the_model_card_has_the_nine_sections_of_the_paper() -> None:
    assert list(dict.fromkeys(item.section for item in model_card.ITEMS)) == [
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
        "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
    ]  # fmt: skip


def test_every_topic_says_what_would_fill_it_and_is_asked_for() -> None:
    assert {topic for item in ITEMS for topic in item.topics} == set(MISSING)
    assert all(item.topics or item.people for item in ITEMS)


def test_with_everything_on_record_only_what_nobody_knows_is_open(tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    site = Subgroup("site", "north", 40, 30, found.subgroups.worst.metrics)  # type: ignore[union-attr]
    found = replace(found, subgroups=replace(found.subgroups, subgroups=(site,), worst=site))  # type: ignore[type-var]
    for checklist in checklists_of(facts(tmp_path, found=found)):
        for row in checklist.items:
            missing = "external" in row.item.topics
            assert (row.status == "filled") is (not row.item.people and not missing), row
            assert len(row.answers) == len(row.item.topics) - missing
        statuses = ("filled", "partly", "open")
        assert sum(checklist.count(status) for status in statuses) == len(checklist.items)


@pytest.mark.parametrize("key", SAID)
def test_what_people_have_not_said_is_open(key: str, tmp_path: Path) -> None:
    silent, spoken = (
        [row for checklist in checklists_of(facts(tmp_path, card={**SAID, key: text})) for row in checklist.items]
        for text in (None, "what they say")
    )
    asked = [i for i, item in enumerate(ITEMS) if key in item.topics]
    assert asked
    for i in asked:
        assert "what they say" in [answer.text for answer in spoken[i].answers]
        assert f"card.{key}" in " ".join(silent[i].open)
        assert len(silent[i].answers) == len(spoken[i].answers) - 1
    assert checklists_of(facts(tmp_path, card={**SAID, key: "  "}))[1].items == tuple(
        silent[len(model_card.ITEMS) :][:52]
    )


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        ("operating", {"tripod": ["15"]}),
        ("calibration", {"tripod": ["13"]}),
        ("abstention", {"tripod": ["27a"]}),
        ("subgroups", {"tripod": ["14", "20b", "23a"], "claim": ["36", "37"]}),
        ("robustness", {"claim": ["30"]}),
        ("saliency", {"claim": ["31", "39"]}),
    ],
)
def test_what_was_not_measured_is_open(field: str, numbers: dict[str, list[str]], tmp_path: Path) -> None:
    _, *full = checklists_of(facts(tmp_path))
    _, *less = checklists_of(facts(tmp_path, found=replace(evaluated(tmp_path), **{field: None})))
    for before, after in zip(full, less, strict=True):
        fewer = [n for n, row in by_number(before).items() if len(by_number(after)[n].answers) < len(row.answers)]
        assert fewer == numbers.get(before.anchor, [])
        assert all(len(by_number(after)[n].open) > len(by_number(before)[n].open) for n in fewer)


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({"audit": None}, ["7", "11"]),
        ({"passport": None}, ["12g", "22", "27b"]),
        ({"environment": {}}, ["18f"]),
        ({"config": {}, "passport": None}, ["7", "9a", "9b", "12b", "12c", "12g", "13", "22", "27b"]),
    ],
)
def test_what_is_not_on_record_is_open(changes: dict[str, Any], numbers: list[str], tmp_path: Path) -> None:
    full, less = (by_number(checklists_of(facts(tmp_path, **given))[1]) for given in ({}, changes))
    assert [number for number, row in full.items() if len(less[number].answers) < len(row.answers)] == numbers


def test_with_nothing_on_record_nothing_of_people_or_training_is_filled(tmp_path: Path) -> None:
    _, checklist, _ = checklists_of(Facts(evaluated(tmp_path), **nothing()))
    rows = by_number(checklist)
    for number in ("3b", "6a", "9a", "12b", "12c", "13", "17", "18a", "18f", "22", "27b"):
        assert rows[number].status != "filled"
    assert {rows[n].status for n in ("3a", "3b", "6a", "17", "18a", "18f", "22")} == {"open"}


def test_clusters_are_columns_that_name_places_or_devices(tmp_path: Path) -> None:
    _, checklist, _ = checklists_of(facts(tmp_path))
    assert by_number(checklist)["12d"].status == "open"  # sex is no cluster
    found = evaluated(tmp_path)
    scanners = Subgroup("Scanner model", "a", 40, None, {})
    found = replace(found, subgroups=replace(found.subgroups, subgroups=(scanners,)))  # type: ignore[type-var]
    _, checklist, _ = checklists_of(facts(tmp_path, found=found))
    assert by_number(checklist)["12d"].answers[0].text.endswith("across Scanner model")


def test_other_data_is_external_and_its_training_data_is_that_of_the_bundle(tmp_path: Path) -> None:
    found = replace(evaluated(tmp_path), trained_on="cccc")
    passport = {**PASSPORT, "data": {"name": "elsewhere", "digest": "cccc", "counts": {"train": {"normal": 7}}}}
    _, checklist, other = checklists_of(facts(tmp_path, found=found, passport=passport))
    assert by_number(other)["33"].status == "filled"
    assert by_number(other)["32"].status == "open"
    assert "trained on elsewhere" in by_number(checklist)["5a"].answers[0].text
    assert "train: normal 100.0 %" in by_number(checklist)["20c"].answers[0].text
    _, unknown, _ = checklists_of(facts(tmp_path, found=found))  # the bundle is of another digest
    assert by_number(unknown)["20c"].status == "open"


def test_the_card_as_text_says_what_the_page_says(tmp_path: Path) -> None:
    known = facts(tmp_path, card={**SAID, "not_for": "a|b *c*\n# d", "ethics": None})
    card, *_ = checklists_of(known)
    text = model_card.markdown(card, known)
    for section in dict.fromkeys(item.section for item in model_card.ITEMS):
        assert f"\n## {section}\n" in text
    assert "- **Out of scope**: a\\|b \\*c\\* \\# d\n" in text
    assert "- **Approval, consent, risks**: *open: approval and consent (card.ethics)*" in text
    assert "| metric | test | val |" in text
    assert "| AUC | 0.984 (0.954 to 1.000) | 0.988 (0.958 to 1.000) |" in text
    assert f"Run {known.evidence.run_id}" in text
