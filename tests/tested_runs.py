"""Folders of runs as a training leaves them, as far as a comparison reads them, without a training."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from medexp.evaluation.predictions import Predictions
from medexp.experiment.result_file import write_result
from medexp.types import DataSpec, InputSpec, Objective, RunResult

CONFIG: dict[str, Any] = {
    "seed": 0,
    "name": "a-run",
    "model": {"_target_": "medexp.models.simple_cnn.simple_cnn", "name": "simple_cnn", "filters": [8, 16]},
    "augmentation": {"name": "light", "rotation": 0.02},
    "data": {"name": "chests", "aug": "light", "batch_size": 32, "fold": None, "workers": 1},
    "optimizer": {"_target_": "keras.optimizers.AdamW", "learning_rate": 0.001},
    "paths": {"outputs": "/somewhere"},
    "runtime": {"backend": "tensorflow"},
}


def config(**changes: Any) -> dict[str, Any]:
    """The configuration of a run; `model_name="b"` changes `model.name`."""
    changed = {key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()}
    for key, value in changes.items():
        group, _, name = key.partition("_")
        if name:
            changed[group][name] = value
        else:
            changed[key] = value
    return changed


def write_tested_run(
    folder: Path,
    predictions: Predictions,
    *,
    settings: Mapping[str, Any],
    score: float = 0.9,
    threshold: float = 0.5,
    digest: str = "aaaa",
    content: str = "",
    objective: Objective | None = None,
) -> Path:
    """Write what is read of a run; `content` makes its test images others."""
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    predictions.write(folder / "predictions" / "test.csv", thresholds={predictions.class_names[1]: threshold})
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(settings)))
    with (folder / "split.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "split", "group", "label", "content"])
        table.writerow(["of training", "train", "", predictions.class_names[0], digest])
        for key, label in zip(predictions.keys, predictions.labels, strict=True):
            table.writerow([key, "test", "", predictions.class_names[label], f"{content}{key}"])
    write_result(
        RunResult(
            run_id=folder.name,
            run_dir=folder,
            objective=objective or Objective("val_auc", "max"),
            best_epoch=1,
            epochs=1,
            metrics={"val_auc": score, "test_auc": 0.9, "threshold": threshold},
            data=DataSpec("chests", "binary", predictions.class_names, InputSpec(28, 28, 1), {}, digest, "a folder"),
            bundle=None,
            model_uri=None,
            seconds=1.0,
            test_images=len(predictions.keys),
        )
    )
    return folder
