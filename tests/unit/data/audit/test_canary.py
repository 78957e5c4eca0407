from __future__ import annotations

from typing import Any

import numpy as np

from medexp.data.dataset import Dataset


def canary(report: Any) -> Any:
    return [finding for finding in report.findings if finding.kind == "leak_canary"]


def test_the_canary_sings_where_near_copies_of_real_images_leak_into_validation(
    pneumonia: Dataset, make: Any, audited: Any
) -> None:
    rows = np.unique(pneumonia.facts.content, return_index=True)[1][:500]
    images = [np.asarray(pneumonia.images.load(int(i))) for i in rows]
    copies = [np.clip(image * 0.97 + 6, 0, 255).astype(np.uint8) for image in images[:150]]
    labels = pneumonia.labels[rows]
    splits = ["train"] * 480 + ["test"] * 20 + ["val"] * 150
    report = audited(make(images + copies, np.r_[labels, labels[:150]], splits), canary=True)
    (finding,) = canary(report)
    assert finding.severity == "refuse"
    assert finding.statistics["low"] > 0.65


def test_the_canary_is_silent_on_the_phantom(phantom: Dataset, audited: Any) -> None:
    (finding,) = canary(audited(phantom, canary=True))
    assert finding.severity == "note"
    assert finding.statistics["low"] < 0.5 < finding.statistics["high"]


def test_the_canary_is_silent_on_the_official_split_of_pneumoniamnist(pneumonia: Dataset, audited: Any) -> None:
    (finding,) = canary(audited(pneumonia, canary=True))
    assert finding.severity == "note"


def test_the_canary_recognises_the_smear_of_red_cells_where_the_split_ignores_it(
    red_cells: Any, deal: Any, audited: Any
) -> None:
    cells = red_cells(lambda smears: deal(smears, grouped=False), step=4, grouped=False, column=True)
    findings = {finding.severity: finding for finding in canary(audited(cells, canary=True))}
    assert [instance.tokens for instance in findings["refuse"].instances] == [("smear_id",)]
    assert findings["refuse"].statistics["low"] > 0.55


def test_without_a_validation_split_the_canary_says_that_it_could_not_look(
    scans: np.ndarray, make: Any, audited: Any
) -> None:
    report = audited(make(scans, np.arange(60) % 2, ["train"] * 60), canary=True)
    assert not canary(report)
    assert [finding.instances[0].tokens for finding in report.findings if finding.kind == "not_checked"] == [
        ("leak_canary",)
    ]
