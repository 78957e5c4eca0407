from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medexp.data.audit import remembered
from medexp.data.audit.findings import Acceptance
from medexp.data.audit.remembered import audit_once
from medexp.data.audit.report import AuditReport
from medexp.data.cache.open import PixelCache
from medexp.data.dataset import Dataset
from medexp.data.module import DataModule
from medexp.data.phantom import PhantomSource
from medexp.types import InputSpec

OPTIONS = {"probe": False, "canary": False, "min_per_class": 10, "seed": 0, "accept": ()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("phantom")
    source = PhantomSource(folder=str(folder), patients=40, size=32, contrast=1.5, seed=0)
    module = DataModule(
        source,
        name="phantom",
        input=InputSpec(32, 32, 1),
        batch_size=8,
        seed=0,
        positive="nodule",
        cache=PixelCache(folder / "cache", max_bytes=1e9, workers=1),
    )
    module.prepare()
    return module.load()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Dataset]:
    """Which data sets were really audited."""
    done: list[Dataset] = []
    real = remembered.audit

    def counted(dataset: Dataset, **options: object) -> AuditReport:
        done.append(dataset)
        return real(dataset, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(remembered, "audit", counted)
    return done


def test_the_same_data_is_audited_once_and_the_report_is_the_same(
    dataset: Dataset, calls: list[Dataset], tmp_path: Path
) -> None:
    first = audit_once(dataset, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
    again = audit_once(dataset, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
    assert len(calls) == 1
    assert again.to_json() == first.to_json()
    assert again == first


@pytest.mark.parametrize(
    "change",
    [
        {"labels": 1},
        {"splits": 1},
        {"groups": 1},
        {"metadata": 1},
        {"hidden": 1},
        {"options": {"seed": 1}},
        {"options": {"min_per_class": 5}},
        {"options": {"accept": (Acceptance("x", ("y",), "z"),)}},
    ],
    ids=str,
)
def test_whatever_it_depends_on_is_audited_anew(
    dataset: Dataset, calls: list[Dataset], tmp_path: Path, change: dict[str, dict[str, object]]
) -> None:
    audit_once(dataset, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
    options, other = OPTIONS, dataset
    if "options" in change:
        options = {**OPTIONS, **change["options"]}
    elif "labels" in change:
        other = replace(dataset, labels=np.roll(dataset.labels, 1))
    elif "splits" in change:
        other = replace(dataset, splits=np.roll(dataset.splits, 1))
    elif "groups" in change:
        other = replace(dataset, groups=None)
    elif "hidden" in change:
        other = replace(dataset, hidden={"ward": ("a",) * len(dataset.keys)})
    else:
        other = replace(dataset, metadata={"site": ("a",) * len(dataset.keys)})
    audit_once(other, folder=tmp_path, **options)  # type: ignore[arg-type]
    assert len(calls) == 2


def test_a_damaged_record_is_made_anew(dataset: Dataset, calls: list[Dataset], tmp_path: Path) -> None:
    audit_once(dataset, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
    (record,) = tmp_path.iterdir()
    record.write_text("{}")
    audit_once(dataset, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
    assert len(calls) == 2
