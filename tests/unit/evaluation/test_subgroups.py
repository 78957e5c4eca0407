"""Metrics of subgroups, and how columns divide the images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from medexp.errors import DataError
from medexp.evaluation.evidence import SubgroupSection
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.subgroup_columns import MISSING, Parts, Unfit, parts_of_column
from medexp.evaluation.subgroups import draw_subgroups, subgroup_section

N = 400
RNG = np.random.default_rng(0)
LABELS = (np.arange(N) % 5 < 2).astype(int)
SITE = ["north" if i < 300 else "south" for i in range(N)]
SEX = [("f", "m", "")[(0, 0, 1, 1, 2)[i % 5] if i < 350 else i % 2] for i in range(N)]
AGE = [f"{20 + (i * 7) % 60}" for i in range(N)]
# the model knows nothing of the south
SCORES = 1 / (1 + np.exp(-(RNG.normal(size=N) + np.where(np.arange(N) < 300, 2.5, 0) * (LABELS - 0.5))))
PREDICTIONS = Predictions(
    "test",
    tuple(f"{i}.png" for i in range(N)),
    LABELS,
    np.stack([1 - SCORES, SCORES], axis=1),
    ("no", "yes"),
    "binary",
    groups=tuple(f"p{i // 2}" for i in range(N)),
    metadata={"site": SITE, "sex": SEX, "age": AGE},
)


def section(predictions: Predictions = PREDICTIONS, **changes: object) -> SubgroupSection | None:
    how = {"thresholds": {"yes": 0.5}, "columns": "all", "smallest": 20, "resamples": 200, "confidence": 0.95}
    return subgroup_section(predictions, **{**how, **changes})


def test_a_subgroup_has_the_metrics_of_its_images() -> None:
    found = section(columns=["site"])
    assert found is not None
    north, south = found.subgroups
    assert (north.column, north.value, north.images, north.groups) == ("site", "north", 300, 150)
    assert north.metrics["auc"].value == pytest.approx(roc_auc_score(LABELS[:300], SCORES[:300]))
    assert south.metrics["auc"].value == pytest.approx(roc_auc_score(LABELS[300:], SCORES[300:]))
    assert all(e.low < e.value < e.high for e in south.metrics.values())
    assert found.overall is not None
    assert found.overall.value == pytest.approx(roc_auc_score(LABELS, SCORES))


@pytest.mark.parametrize(("metric", "mode"), [("auc", "max"), ("brier", "min")])
def test_the_worst_is_where_the_model_knows_nothing(metric: str, mode: str) -> None:
    found = section(metric=metric, mode=mode)
    assert found is not None
    assert found.worst is not None
    assert (found.worst.column, found.worst.value) == ("site", "south")


def test_a_subgroup_of_one_class_has_no_auc_and_is_not_the_worst() -> None:
    only = np.where(LABELS == 1, "with", "without").tolist()
    found = section(replace(PREDICTIONS, metadata={"finding": only, "site": SITE}))
    assert found is not None
    ill = found.subgroups[0]
    assert "auc" not in ill.metrics
    assert "specificity" not in ill.metrics
    assert ill.metrics["sensitivity"].value == pytest.approx((SCORES[LABELS == 1] >= 0.5).mean())
    assert found.worst is not None
    assert found.worst.column == "site"


def test_what_is_left_out_is_named_with_the_reason() -> None:
    metadata = {
        "patient": [f"p{i // 2}" for i in range(N)],
        "maker": ["a"] * N,
        "scanner": ["old"] * 390 + ["new"] * 10,
        "comment": [f"text {i % 90}" for i in range(N)],
    }
    found = section(replace(PREDICTIONS, metadata=metadata))
    assert found is not None
    assert found.left_out == {
        "patient": "names patients, or the like",
        "maker": "has one value only",
        "scanner=new": "has 10 images, fewer than 20",
        "comment": "has 90 values, more than 50",
    }
    assert [(s.column, s.value) for s in found.subgroups] == [("scanner", "old")]


def test_a_column_that_is_not_there_is_a_data_error_that_lists_what_is() -> None:
    with pytest.raises(DataError, match=r"Received: race\. There is: site, sex, age\..*evaluation\.subgroups"):
        section(columns=["sex", "race"])
    with pytest.raises(DataError, match="has no metadata"):
        section(replace(PREDICTIONS, metadata={}), columns=["sex"])


def test_data_without_metadata_has_no_section() -> None:
    assert section(replace(PREDICTIONS, metadata={})) is None


def test_a_metric_that_is_not_there_is_a_data_error() -> None:
    with pytest.raises(DataError, match=r"Received: 'subset_accuracy'. There is: .*auc"):
        section(metric="subset_accuracy")


def test_a_split_that_tells_no_auc_has_no_worst_subgroup(tmp_path: Path) -> None:
    found = section(replace(PREDICTIONS, labels=np.ones(N, int)), columns=["site"])
    assert found is not None
    assert found.worst is found.overall is None
    assert "sensitivity" in found.subgroups[0].metrics
    draw_subgroups(found, tmp_path / "none.png")
    assert (tmp_path / "none.png").is_file()


def test_subgroups_of_several_classes_keep_no_metric_of_one_class() -> None:
    labels = np.arange(N) % 3
    rows = RNG.dirichlet(np.ones(3), N)
    p = replace(PREDICTIONS, labels=labels, probabilities=rows, class_names=("a", "b", "c"), task="multiclass")
    found = section(p, thresholds={}, columns=["sex"])
    assert found is not None
    assert {name for name in found.subgroups[0].metrics if "/" in name} == set()
    assert {"auc", "sensitivity", "mcc"} <= set(found.subgroups[0].metrics)


def counted(name: str, values: list[str], *, smallest: int = 20, groups: list[str] | None = None) -> dict[str, int]:
    parts = parts_of_column(name, values, smallest=smallest, groups=groups)
    assert isinstance(parts, Parts), parts
    return {value: int(images.sum()) for value, images in parts.of.items()}


def test_ages_are_cut_at_decades_and_few_images_join_their_neighbours() -> None:
    ages = ["3"] * 5 + ["17"] * 18 + ["25.5"] * 30 + ["31", "39"] * 20 + ["48"] * 25 + ["71", "83", "72", "85"] + [""]
    ages += [str(20 + i) for i in range(8)]
    assert counted("patient_age", ages) == {"0 to 19": 23, "20 to 29": 38, "30 to 39": 40, "40 to 89": 29, MISSING: 1}


def test_other_numbers_are_cut_into_quarters() -> None:
    values = [str(round(x, 2)) for x in np.linspace(0, 99, 400)]
    found = counted("weight", values)
    assert list(found.values()) == [100] * 4
    assert next(iter(found)) == "0 to 24.56"
    assert len(counted("weight", values[:45])) == 2  # quarters of 11 images would be too small


def test_a_number_of_few_values_is_taken_as_it_is() -> None:
    assert counted("grade", ["10", "2", "1"] * 30) == {"1": 30, "2": 30, "10": 30}


def test_every_image_with_a_value_is_in_one_range() -> None:
    values = ["0"] * 300 + [str(i) for i in range(100)]  # three quarters are equal
    parts = parts_of_column("dose", values, smallest=20)
    assert isinstance(parts, Parts)
    assert (np.sum(list(parts.of.values()), axis=0) == 1).all()


def test_missing_values_are_a_subgroup() -> None:
    assert counted("sex", ["f"] * 30 + [""] * 25) == {"f": 30, MISSING: 25}


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("PatientID", [str(i // 3) for i in range(300)], "names patients"),
        ("smear", [f"s{i // 3}" for i in range(300)], "names patients"),  # as the groups
        ("row", [str(i) for i in range(300)], "a whole number of its own"),
        ("dose", [str(i % 9) for i in range(30)], "too few images for two ranges of 20"),
        ("maker", ["a"] * 300, "one value only"),
        ("maker", [""] * 300, "no values"),
        ("date", [f"2024-01-{i % 97}" for i in range(300)], "97 values"),
    ],
)
def test_a_column_that_divides_nothing_says_why(name: str, values: list[str], reason: str) -> None:
    groups = [f"g{i // 3}" for i in range(len(values))]
    found = parts_of_column(name, values, smallest=20, groups=groups)
    assert isinstance(found, Unfit)
    assert reason in found.reason


@pytest.mark.parametrize("name", ["patient_sex", "PatientAge", "study_site", "ManufacturerModelName"])
def test_a_column_about_patients_is_no_name_of_them(name: str) -> None:
    assert isinstance(parts_of_column(name, ["1", "2"] * 40, smallest=20), Parts)


def test_the_picture_grows_with_the_subgroups(tmp_path: Path) -> None:
    for columns in (["site"], ["site", "sex", "age"]):
        found = section(columns=columns)
        assert found is not None
        draw_subgroups(found, tmp_path / f"{len(columns)}.png")
    small, large = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in (1, 3))
    assert large.shape[0] > small.shape[0]
    assert large.std() > 10
