"""What the folds of a sweep say together."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from medexp.errors import DataError
from medexp.evaluation.operating_point import choose_thresholds
from medexp.evaluation.predictions import Predictions
from medexp.experiment.cross_validation import averaged
from medexp.experiment.pooled import FoldRun, pool, write_variants
from medexp.experiment.result_file import write_result
from medexp.types import DataSpec, InputSpec, Objective, RunResult

OBJECTIVE = Objective("val_auc", "max")
NAMES = ("1", "02")  # names that a careless reader takes for numbers


def fold(folder: Path, number: int, *, params: dict[str, str], keys: Sequence[str], shift: float = 0.0) -> FoldRun:
    """A finished run, with predictions of n images."""
    name = "".join(params.values()) + str(number)
    (folder / name / "predictions").mkdir(parents=True)
    draw = np.random.default_rng(number)
    labels = np.arange(len(keys)) % 2
    scores = np.clip(draw.normal(0.4 + 0.2 * labels + shift, 0.15), 0, 1).astype(np.float32)
    predictions = Predictions("val", tuple(keys), labels, np.stack([1 - scores, scores], axis=1), NAMES, "binary")
    predictions.write(folder / name / "predictions" / "val.csv", thresholds={})
    data = DataSpec("d", "binary", NAMES, InputSpec(8, 8, 1), {}, "", "")
    metrics = {"val_auc": float(roc_auc_score(labels, scores)), "seconds": 2.0, "threshold": 0.5, "parameters": 7.0}
    write_result(RunResult(name, folder / name, OBJECTIVE, 1, 1, metrics, data, None, None, 2.0))
    return FoldRun(folder / name, {**params, "data.fold": str(number)})


def images(number: int, count: int = 20) -> list[str]:
    return [f"{number}{i:03}" for i in range(count)]


def test_all_images_of_all_folds_are_scored_together(tmp_path: Path) -> None:
    runs = [fold(tmp_path, n, params={}, keys=images(n), shift=0.1 * n) for n in range(3)]
    (variant,) = pool(runs, OBJECTIVE)
    parts = [
        Predictions.read(run.folder / "predictions" / "val.csv", "val", class_names=NAMES, task="binary")
        for run in runs
    ]
    labels, scores = (np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "scores"))
    each = [roc_auc_score(part.labels, part.scores) for part in parts]
    assert variant.metrics["pooled_auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert variant.metrics["val_auc"] == pytest.approx(statistics.fmean(each))
    assert variant.metrics["val_auc_std"] == pytest.approx(statistics.stdev(each))
    assert (variant.folds, variant.run_ids, variant.name) == (("0", "1", "2"), ("0", "1", "2"), "all folds")


def test_a_fold_is_decided_by_thresholds_of_the_others(tmp_path: Path) -> None:
    runs = [fold(tmp_path, n, params={}, keys=images(n), shift=0.3 * n) for n in range(2)]
    (variant,) = pool(runs, OBJECTIVE)
    first, second = (
        Predictions.read(run.folder / "predictions" / "val.csv", "val", class_names=NAMES, task="binary")
        for run in runs
    )
    decided = [
        *first.decisions(choose_thresholds(second, aim="youden")),
        *second.decisions(choose_thresholds(first, aim="youden")),
    ]
    truth = [*first.labels, *second.labels]
    assert variant.metrics["pooled_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, decided))


def test_variants_are_apart_and_the_best_mean_comes_first(tmp_path: Path) -> None:
    good = [fold(tmp_path, n, params={"model": "b"}, keys=images(n)) for n in (0, 1)]
    worse = [fold(tmp_path, n, params={"model": "a"}, keys=images(n)) for n in (10, 11)]
    alone = [fold(tmp_path, 0, params={"model": "c"}, keys=images(0))]
    variants = pool([*worse, *alone, *good], OBJECTIVE)
    scores = [variant.metrics["val_auc"] for variant in variants]
    assert len(variants) == 2
    assert scores == sorted(scores, reverse=True)
    assert {variant.name for variant in variants} == {"model=a", "model=b"}
    with write_variants(variants, tmp_path / "folds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == [variant.params["model"] for variant in variants]
    assert float(rows[0]["pooled_auc"]) == variants[0].metrics["pooled_auc"]


def test_predictions_that_were_not_made_cannot_be_pooled(tmp_path: Path) -> None:
    runs = [fold(tmp_path, n, params={}, keys=images(n)) for n in range(2)]
    (runs[1].folder / "predictions" / "val.csv").unlink()
    with pytest.raises(DataError, match=r"trained with search\.export=false.*Override: search\.export=true"):
        pool(runs, OBJECTIVE)


def test_an_image_in_two_folds_is_refused(tmp_path: Path) -> None:
    runs = [fold(tmp_path, n, params={}, keys=images(0)) for n in range(2)]
    with pytest.raises(DataError, match=r"validated in two folds.*0000"):
        pool(runs, OBJECTIVE)


def test_an_average_is_of_what_all_folds_have_and_costs_add_up() -> None:
    found = averaged(
        [
            {"val_auc": 0.5, "seconds": 1.0, "parameters": 7.0, "threshold": 0.3, "test_auc/x": 1.0},
            {"val_auc": 0.7, "seconds": 2.0, "parameters": 7.0, "threshold": 0.5},
        ]
    )
    assert found == {
        "val_auc": pytest.approx(0.6), "val_auc_std": pytest.approx(0.02**0.5), "seconds": 3.0, "parameters": 7.0,
    }  # fmt: skip
