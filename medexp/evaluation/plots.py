"""Curves of a training and of its predictions, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics as sk

from medexp.evaluation.evidence import Metrics
from medexp.evaluation.metric_keys import metric_keys
from medexp.evaluation.one_against_rest import Question, questions
from medexp.evaluation.predictions import Predictions
from medexp.figure import COLOURS, FAINT, INK, WIDTH, finish, save

_INSIDE = 4  # curves, above which the legend stands outside
_DASHES = ("-", "--", ":")


def draw_curves(history: Sequence[Mapping[str, float]], best_epoch: int, path: Path) -> None:
    """Draw each metric of training and validation over the epochs, the best epoch marked."""
    names = [name for name in history[0] if f"val_{name}" in history[0]]
    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        for key, label, colour in ((name, "training", COLOURS[0]), (f"val_{name}", "validation", COLOURS[1])):
            marker = "o" if len(history) == 1 else None
            axes.plot(epochs, [row[key] for row in history], label=label, color=colour, marker=marker, linewidth=WIDTH)
        axes.axvline(best_epoch, color=INK, linestyle=":", linewidth=1.2, label=f"best epoch: {best_epoch}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        finish(axes, title=name, x="epoch", y="")
    save(figure, path)


def draw_roc(
    predictions: Predictions, thresholds: Mapping[str, float], path: Path, *, achieved: Metrics | None = None
) -> None:
    """Draw the ROC curve of each question of the task (`questions`), the operating points marked.

    Args:
        predictions: of one split.
        thresholds: by class name.
        path: of the PNG.
        achieved: `sensitivity` and `specificity` of these at `thresholds`, as `OperatingSection.test` holds them: their
            intervals are drawn about the points.
    """
    keys, alone = metric_keys(predictions.class_names), predictions.task == "binary"
    asked = questions(predictions)
    figure, axes = _canvas(asked)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    for number, question in enumerate(asked):
        style = _style(number)
        if not question.defined:
            _say_undefined(axes, question)
            continue
        false_positive, true_positive, _ = sk.roc_curve(question.truth, question.scores)
        area = sk.roc_auc_score(question.truth, question.scores)
        axes.plot(false_positive, true_positive, label=f"{question.name}: AUC {area:.3f}", **style)
        if question.name in thresholds:
            called = question.scores >= thresholds[question.name]
            point = called[question.truth == 0].mean(), called[question.truth == 1].mean()
            if achieved is not None:
                _cross(axes, achieved, style, suffix="" if alone else f"/{keys[question.name]}")
            _mark(axes, point, thresholds[question.name], style, alone=len(asked) == 1)
    _square(axes)
    outside = len(asked) > _INSIDE
    finish(axes, title=_titled("ROC", predictions), x="1 - specificity", y="sensitivity", legend_outside=outside)
    save(figure, path)


def draw_precision_recall(predictions: Predictions, thresholds: Mapping[str, float], path: Path) -> None:
    """Draw precision over recall of each question, the operating points marked; of a single one the prevalence too."""
    asked = questions(predictions)
    figure, axes = _canvas(asked)
    alone = len(asked) == 1
    for number, question in enumerate(asked):
        style, truth = _style(number), question.truth
        if not question.defined:
            _say_undefined(axes, question)
            continue
        precision, recall, _ = sk.precision_recall_curve(truth, question.scores)
        area = sk.average_precision_score(truth, question.scores)
        axes.step(recall, precision, where="post", label=f"{question.name}: AP {area:.3f}", **style)
        if question.name in thresholds:
            called = question.scores >= thresholds[question.name]
            if called.any():
                point = called[truth == 1].mean(), truth[called].mean()
                _mark(axes, point, thresholds[question.name], style, alone=alone)
        if alone:
            axes.axhline(truth.mean(), color=FAINT, linewidth=1, label=f"prevalence {truth.mean():.3f}")
    _square(axes)
    outside = len(asked) > _INSIDE
    title = _titled("precision-recall", predictions)
    finish(axes, title=title, x="recall (sensitivity)", y="precision", legend_outside=outside)
    save(figure, path)


def _canvas(asked: Sequence[Question]) -> tuple[Figure, Axes]:
    wide = len(asked) > _INSIDE
    figure = Figure(figsize=(7.4 if wide else 4.8, 4.6), layout="constrained")
    return figure, figure.subplots()


def _style(number: int) -> dict[str, Any]:
    dashes = _DASHES[number // len(COLOURS) % len(_DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dashes, "linewidth": WIDTH}


def _mark(axes: Axes, point: tuple[float, float], threshold: float, style: Mapping[str, Any], *, alone: bool) -> None:
    """An operating point: named where there is one curve, in the colour of its curve where there are more."""
    colour, label = (INK, f"threshold {threshold:.3f}") if alone else (style["color"], None)
    axes.plot(*point, "o", color=colour, markersize=7 if alone else 5, label=label)


def _cross(axes: Axes, achieved: Metrics, style: Mapping[str, Any], *, suffix: str) -> None:
    """The intervals of an operating point."""
    sensitivity, specificity = (achieved[f"{name}{suffix}"] for name in ("sensitivity", "specificity"))
    x, y = 1 - specificity.value, sensitivity.value
    lines = {"color": style["color"], "linewidth": 1.2, "solid_capstyle": "butt"}
    axes.plot([1 - specificity.high, 1 - specificity.low], [y, y], **lines)
    axes.plot([x, x], [sensitivity.low, sensitivity.high], **lines)


def _say_undefined(axes: Axes, question: Question) -> None:
    axes.plot([], [], " ", label=f"{question.name}: {'every' if question.truth.all() else 'no'} image")


def _titled(what: str, predictions: Predictions) -> str:
    return f"{what}, {predictions.split} (n={len(predictions.keys)})"


def _square(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
