"""A run with predictions of its test split, and what it was trained as."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medexp.config.flatten import leaves
from medexp.errors import ConfigError, DataError
from medexp.evaluation.evidence_file import FILE, FOLDER, read_evidence
from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.predictions import Predictions
from medexp.experiment.result_file import read_result
from medexp.experiment.run_files import RunFiles
from medexp.types import RunResult, digest_of

PREDICTIONS, RESULT, CONFIG, SPLIT = "predictions/test.csv", "result.json", "config.yaml", "split.csv"


@dataclass(frozen=True)
class TestedRun:
    """One run that was tested.

    Args:
        run_id: of it.
        result: of it.
        predictions: of the test split.
        thresholds: that decisions were made with.
        params: its configuration, by dotted key, as text.
        test: names content and labels of the test split: runs are compared only where it is equal.
    """

    __test__ = False  # no class of tests, whatever pytest makes of its name

    run_id: str
    result: RunResult
    predictions: Predictions
    thresholds: Mapping[str, float]
    params: Mapping[str, str]
    test: str


def read_tested(run_id: str, files: RunFiles) -> TestedRun | None:
    """Return a run; None for one that was not tested: it was validated only, is of every fold, or has not ended.

    Raises:
        DataError: its predictions cannot be read.
    """
    predictions_path, result_path = files.find(run_id, PREDICTIONS), files.find(run_id, RESULT)
    if predictions_path is None or result_path is None:
        return None
    result = read_result(result_path.parent)
    if result is None:
        return None
    data = result.data
    predictions = Predictions.read(predictions_path, "test", class_names=data.class_names, task=data.task)
    thresholds = _thresholds(run_id, files, result)
    config = files.find(run_id, CONFIG)
    split = files.find(run_id, SPLIT)
    return TestedRun(
        run_id=run_id,
        result=result,
        predictions=predictions,
        thresholds=thresholds,
        params={} if config is None else _params(config),
        test=data.digest if split is None else _test_digest(split, result),
    )


def _thresholds(run_id: str, files: RunFiles, result: RunResult) -> Mapping[str, float]:
    """Those of the operating point; of runs before there was one, what the result says."""
    path = files.find(run_id, f"{FOLDER}/{FILE}")
    if path is not None:
        try:
            found = read_evidence(path.parent)
        except DataError:
            found = None
        if found is not None and found.operating is not None:
            return found.operating.chosen.thresholds
    names, metrics = result.data.class_names, result.metrics
    if result.data.task == "binary" and "threshold" in metrics:
        return {names[1]: metrics["threshold"]}
    if result.data.task == "multilabel":
        keys = metric_keys(names)
        try:
            return {name: metrics[f"threshold/{keys[name]}"] for name in names}
        except KeyError as error:
            raise DataError(f"The run does not say its thresholds. Received: {run_id}, without {error}.") from error
    return {}


def _params(path: Path) -> dict[str, str]:
    import yaml

    try:
        saved: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"The configuration of a run cannot be read. Received: {path}.") from error
    return {key: _text(value) for key, value in leaves("", saved)} if isinstance(saved, dict) else {}


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _test_digest(path: Path, result: RunResult) -> str:
    """Of content and labels of the test images alone: what a run was trained on, and at which size, may differ."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = sorted(f"{row['content']} {row['label']}" for row in csv.DictReader(file) if row["split"] == "test")
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"The split of a run cannot be read ({error}). Received: {path}.") from error
    return digest_of({"test": rows, "task": result.data.task, "classes": result.data.class_names})
