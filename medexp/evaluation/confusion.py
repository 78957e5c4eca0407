"""The picture of which class was taken for which."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics as sk

from medexp.evaluation.predictions import Predictions
from medexp.figure import INK, finish, save

_COLUMNS = 5  # of small matrices


def draw_confusion(predictions: Predictions, thresholds: Mapping[str, float], path: Path) -> None:
    """Draw the confusion matrix: counts, and shares of each true class as shade.

    A multi-label task has a small one for each class, its threshold beside the name.
    """
    decided = predictions.decisions(thresholds)
    if predictions.task == "multilabel":
        figure = _of_each_class(predictions, decided, thresholds)
    else:
        figure = _of_all_classes(predictions, decided, thresholds)
    save(figure, path)


def _of_all_classes(predictions: Predictions, decided: np.ndarray, thresholds: Mapping[str, float]) -> Figure:
    names = predictions.class_names
    side = max(4.2, 0.75 * len(names) + 2)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    _matrix(axes, sk.confusion_matrix(predictions.labels, decided, labels=range(len(names))))
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 4 else 45)
    axes.set_yticks(range(len(names)), names)
    at = "".join(f", threshold {value:.3f}" for value in thresholds.values())
    title = f"confusion, {predictions.split} (n={len(predictions.keys)}{at})"
    finish(axes, title=title, x="decided", y="true", grid=False)
    return figure


def _of_each_class(predictions: Predictions, decided: np.ndarray, thresholds: Mapping[str, float]) -> Figure:
    names = predictions.class_names
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(max(4.2, 2.3 * columns), 2.5 * rows + 0.6), layout="constrained")
    figure.suptitle(f"confusion, {predictions.split} (n={len(predictions.keys)})", fontsize=11, color=INK)
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for i, axes in enumerate(panels):
        if i >= len(names):
            axes.set_axis_off()
            continue
        _matrix(axes, sk.confusion_matrix(predictions.labels[:, i], decided[:, i], labels=[0, 1]))
        axes.set_xticks([0, 1], ["no", "yes"])
        axes.set_yticks([0, 1], ["no", "yes"])
        first, last = i % columns == 0, i + columns >= len(names)
        title = f"{_shortened(names[i])}\nthreshold {thresholds[names[i]]:.3f}"
        finish(axes, title=title, x="decided" if last else "", y="true" if first else "", grid=False)
        axes.title.set_fontsize(9)
    return figure


def _matrix(axes: Axes, matrix: np.ndarray) -> None:
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour)


def _shortened(name: str, *, length: int = 24) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
