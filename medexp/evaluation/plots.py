"""Pictures of a training and of its predictions, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn import metrics as sk

from medexp.evaluation.predictions import Predictions

_INK, _FAINT = "#1d2733", "#c9d1da"
_COLOURS = ("#0b6e99", "#d1495b", "#3b8a5a", "#8a5fb0", "#c98a1b", "#4f6d7a")
_WIDTH = 2.0


def draw_curves(history: Sequence[Mapping[str, float]], best_epoch: int, path: Path) -> None:
    """Draw each metric of training and validation over the epochs, the best epoch marked."""
    names = [name for name in history[0] if f"val_{name}" in history[0]]
    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        for key, label, colour in ((name, "training", _COLOURS[0]), (f"val_{name}", "validation", _COLOURS[1])):
            marker = "o" if len(history) == 1 else None
            axes.plot(epochs, [row[key] for row in history], label=label, color=colour, marker=marker, linewidth=_WIDTH)
        axes.axvline(best_epoch, color=_INK, linestyle=":", linewidth=1.2, label=f"best epoch: {best_epoch}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _finish(axes, title=name, x="epoch", y="")
    _save(figure, path)


def draw_confusion(predictions: Predictions, threshold: float | None, path: Path) -> None:
    """Draw the confusion matrix: counts, and shares of each true class as shade."""
    names = predictions.class_names
    matrix = sk.confusion_matrix(predictions.labels, predictions.decisions(threshold), labels=range(len(names)))
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    side = max(4.2, 0.75 * len(names) + 2)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.55 else _INK
        axes.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 4 else 45)
    axes.set_yticks(range(len(names)), names)
    _finish(axes, title=_titled("confusion", predictions, threshold), x="decided", y="true", grid=False)
    _save(figure, path)


def draw_roc(predictions: Predictions, threshold: float | None, path: Path) -> None:
    """Draw the ROC curve of the positive class (the operating point marked), or of each class against the rest."""
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1)
    for colour, name, truth, scores in _one_against_rest(predictions):
        false_positive, true_positive, _ = sk.roc_curve(truth, scores)
        area = sk.roc_auc_score(truth, scores)
        axes.plot(false_positive, true_positive, color=colour, label=f"{name}: AUC {area:.3f}", linewidth=_WIDTH)
        if threshold is not None:
            point = (scores[truth == 0] >= threshold).mean(), (scores[truth == 1] >= threshold).mean()
            axes.plot(*point, "o", color=_INK, markersize=7, label=f"threshold {threshold:.3f}")
    _square(axes)
    _finish(axes, title=_titled("ROC", predictions), x="1 - specificity", y="sensitivity")
    _save(figure, path)


def draw_precision_recall(predictions: Predictions, threshold: float | None, path: Path) -> None:
    """Draw precision over recall, the prevalence as a line where there is one class to show."""
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    for colour, name, truth, scores in _one_against_rest(predictions):
        precision, recall, _ = sk.precision_recall_curve(truth, scores)
        area = sk.average_precision_score(truth, scores)
        axes.step(recall, precision, where="post", color=colour, label=f"{name}: AP {area:.3f}", linewidth=_WIDTH)
        if threshold is not None:
            called = scores >= threshold
            if called.any():
                point = called[truth == 1].mean(), truth[called].mean()
                axes.plot(*point, "o", color=_INK, markersize=7, label=f"threshold {threshold:.3f}")
            axes.axhline(truth.mean(), color=_FAINT, linewidth=1, label=f"prevalence {truth.mean():.3f}")
    _square(axes)
    _finish(axes, title=_titled("precision-recall", predictions), x="recall (sensitivity)", y="precision")
    _save(figure, path)


def _one_against_rest(predictions: Predictions) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    indices = [1] if predictions.binary else range(len(predictions.class_names))
    return [
        (
            _COLOURS[number % len(_COLOURS)],
            predictions.class_names[i],
            (predictions.labels == i).astype(int),
            predictions.probabilities[:, i].astype(np.float64),
        )
        for number, i in enumerate(indices)
    ]


def _titled(what: str, predictions: Predictions, threshold: float | None = None) -> str:
    at = "" if threshold is None else f", threshold {threshold:.3f}"
    return f"{what}, {predictions.split} (n={len(predictions.labels)}{at})"


def _square(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _finish(axes: Axes, *, title: str, x: str, y: str, grid: bool = True) -> None:
    axes.set_title(title, fontsize=11, color=_INK, loc="left")
    axes.set_xlabel(x, color=_INK)
    axes.set_ylabel(y, color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(color=_FAINT, linewidth=0.5, alpha=0.6)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
