"""What a training leaves beside its weights."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.types import DataSpec, FitResult

if TYPE_CHECKING:
    import keras

    from medexp.data.module import DataModule
    from medexp.models.module import ClassifierModule


def fit_metrics(fit: FitResult) -> dict[str, float]:
    """Return the metrics of the best weights, and what training and network cost.

    `epoch_seconds` is the median of all epochs: the first one compiles.
    """
    return {
        **fit.best,
        "epoch_seconds": statistics.median(row["epoch_seconds"] for row in fit.history),
        "seconds": fit.seconds,
        "parameters": float(fit.parameters),
    }


def best_network(module: ClassifierModule, spec: DataSpec, weights: Path) -> keras.Model:
    """Return the network with its best weights, built in float32 whatever it was trained in."""
    import keras

    keras.config.set_dtype_policy("float32")
    network = module.build(spec)
    network.load_weights(weights)
    return network


def draw_augmentation(
    policy: str, layers: Sequence[keras.layers.Layer], data: DataModule, path: Path, *, seed: int
) -> None:
    """Draw what the first step makes of a few training images; nothing where images stay as they are."""
    from medexp.evaluation.contact_sheet import draw_contact_sheet
    from medexp.training.preview import preview

    if not layers:
        return
    seen = preview(data.train(), layers, seed=seed)
    spec = data.spec
    draw_contact_sheet(
        seen.images,
        seen.targets,
        seen.augmented,
        seen.mixed,
        task=spec.task,
        class_names=spec.class_names,
        policy=policy,
        path=path,
    )


def write_history(fit: FitResult, folder: Path) -> Path:
    """Write `history.csv` into `folder`."""
    path = folder / "history.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["epoch", *fit.history[0]])
        table.writeheader()
        table.writerows({"epoch": epoch, **row} for epoch, row in enumerate(fit.history, 1))
    return path
