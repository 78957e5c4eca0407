"""What the folds of a cross-validation say together, where each was a job of one sweep (`search=folds`)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.errors import DataError
from medexp.experiment.cross_validation import averaged
from medexp.experiment.result_file import read_result
from medexp.types import Objective, RunResult

if TYPE_CHECKING:
    from medexp.evaluation.predictions import Predictions

FOLD = "data.fold"
POOLED = "pooled_"


@dataclass(frozen=True)
class FoldRun:
    """A job that trained one fold.

    Args:
        folder: of its run, with `result.json` and the predictions of validation.
        params: what the sweep chose for it: `data.fold`, and whatever else varied.
    """

    folder: Path
    params: Mapping[str, str]


@dataclass(frozen=True)
class Variant:
    """The folds of one choice of everything else.

    Args:
        params: that choice; empty where only the fold varied.
        folds: which there are, in their order.
        run_ids: of them.
        metrics: means over the folds and their standard deviations `<metric>_std`; `pooled_<metric>` of all validation
            images together.
    """

    params: Mapping[str, str]
    folds: tuple[str, ...]
    run_ids: tuple[str, ...]
    metrics: Mapping[str, float]

    @property
    def name(self) -> str:
        """The choice, as overrides."""
        return " ".join(f"{key}={value}" for key, value in self.params.items()) or "all folds"


def pool(runs: Sequence[FoldRun], objective: Objective) -> tuple[Variant, ...]:
    """Return the variants, the best mean of the objective first; one with a single fold so far is left out.

    Each image is in the validation split of one fold, so that the pooled metrics are of every image that is not in the
    test set, predicted by a network that has not seen it. Thresholds are chosen for each fold on the predictions of the
    others, by Youden's index. The pooled AUC compares scores of different networks: where these are not calibrated
    alike it is lower than the mean of the folds, which is the better estimate of one network (Forman, Scholz, SIGKDD
    Explor 12(1):49, 2010).

    Args:
        runs: jobs that are finished, of one sweep.
        objective: orders the variants.

    Raises:
        DataError: a run has no result or no predictions of validation, or an image was validated in two folds.
    """
    groups: dict[tuple[tuple[str, str], ...], dict[str, FoldRun]] = {}
    for run in runs:
        if FOLD not in run.params:
            raise DataError(f"The job is not one of a fold. Received: {dict(run.params)}, without {FOLD}")
        others = tuple((key, value) for key, value in run.params.items() if key != FOLD)
        groups.setdefault(others, {})[run.params[FOLD]] = run
    found = [_variant(dict(others), folds) for others, folds in groups.items() if len(folds) > 1]
    return tuple(sorted(found, key=lambda v: v.metrics[objective.metric], reverse=objective.mode == "max"))


def write_variants(variants: Sequence[Variant], path: Path) -> Path:
    """Write a CSV: a row for each variant, a column for each parameter and metric."""
    params = list(dict.fromkeys(key for variant in variants for key in variant.params))
    metrics = list(dict.fromkeys(name for variant in variants for name in variant.metrics))
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*params, "folds", "run_ids", *metrics])
        for variant in variants:
            chosen = [variant.params.get(key, "") for key in params]
            numbers = [variant.metrics.get(name, "") for name in metrics]
            table.writerow([*chosen, " ".join(variant.folds), " ".join(variant.run_ids), *numbers])
    return path


def _variant(params: Mapping[str, str], runs: Mapping[str, FoldRun]) -> Variant:
    folds = sorted(runs, key=lambda fold: (len(fold), fold))
    results = [_result(runs[fold]) for fold in folds]
    predictions = [_predictions(runs[fold], result) for fold, result in zip(folds, results, strict=True)]
    keys = [key for each in predictions for key in each.keys]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(
            f"An image was validated in two folds: these are no folds of one cross-validation. Received: {twice}, runs "
            f"{', '.join(result.run_id for result in results)}. Leave data.split.seed and data.split.repeat as they "
            "are, or sweep over them"
        )
    metrics = averaged([result.metrics for result in results])
    return Variant(params, tuple(folds), tuple(r.run_id for r in results), {**metrics, **_pooled(predictions)})


def _result(run: FoldRun) -> RunResult:
    result = read_result(run.folder)
    if result is None:
        raise DataError(f"The run of a fold has no result. Received: {run.folder}. Let it end, or train it again")
    return result


def _predictions(run: FoldRun, result: RunResult) -> Predictions:
    from medexp.evaluation.predictions import Predictions

    path = run.folder / "predictions" / "val.csv"
    if not path.is_file():
        raise DataError(
            f"The run of a fold has no predictions of validation to pool: it was trained with search.export=false. "
            f"Received: {result.run_id}. Override: search.export=true"
        )
    return Predictions.read(path, "val", class_names=result.data.class_names, task=result.data.task)


def _pooled(folds: Sequence[Predictions]) -> dict[str, float]:
    """Metrics of all folds' validation images, decided by thresholds that were chosen on the other folds."""
    import numpy as np

    from medexp.evaluation.aim import YOUDEN
    from medexp.evaluation.metrics import classification_metrics
    from medexp.evaluation.operating_point import choose_thresholds
    from medexp.evaluation.predictions import Predictions

    def together(parts: Sequence[Predictions]) -> Predictions:
        return replace(
            parts[0],
            keys=tuple(key for part in parts for key in part.keys),
            labels=np.concatenate([part.labels for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
        )

    @dataclass(frozen=True)
    class Decided(Predictions):
        decided: np.ndarray = field(kw_only=True)

        def decisions(self, thresholds: Mapping[str, float]) -> np.ndarray:
            return self.decided

    others = [together([other for other in folds if other is not part]) for part in folds]
    decided = [part.decisions(choose_thresholds(rest, aim=YOUDEN)) for part, rest in zip(folds, others, strict=True)]
    every = Decided(**vars(together(folds)), decided=np.concatenate(decided))
    found = classification_metrics(every, thresholds={})
    return {f"{POOLED}{name.removeprefix('val_')}": value for name, value in found.items()}
