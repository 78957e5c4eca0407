"""Whether deciding by the model is worth more than treating all, or nobody."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medexp.evaluation.evidence import NetBenefit, OperatingSection
from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.predictions import Predictions

_THRESHOLDS = np.arange(1, 100) / 100
_COLUMNS = 4


def decision_curves(predictions: Predictions) -> dict[str, tuple[NetBenefit, ...]]:
    """Return the net benefit of deciding by the probability, at threshold probabilities from 0.01 to 0.99.

    Whoever acts from a probability p on takes (1 - p) / p false alarms for one finding; the net benefit is found
    findings less false alarms at this rate, for each image: TP / n - FP / n * p / (1 - p). Treating all has that of
    calling every image positive, treating nobody 0 (Vickers and Elkin, Med Decis Making 26:565, 2006). It is at the
    prevalence of these images, and means what it says where probabilities are calibrated.

    Args:
        predictions: of one split, calibrated.

    Returns:
        By name of the question (`questions`): the positive class, each class against the rest, or cut points between
        grades. A question that has one answer only is left out.
    """
    return {q.name: _curve(q.truth, q.scores) for q in questions(predictions) if q.defined}


def _curve(truth: np.ndarray, scores: np.ndarray) -> tuple[NetBenefit, ...]:
    images, positives = len(truth), int(truth.sum())
    found = positives - np.searchsorted(np.sort(scores[truth == 1]), _THRESHOLDS)
    false = images - positives - np.searchsorted(np.sort(scores[truth == 0]), _THRESHOLDS)
    odds = _THRESHOLDS / (1 - _THRESHOLDS)
    model, everybody = (found - false * odds) / images, (positives - (images - positives) * odds) / images
    rows = zip(_THRESHOLDS, model, everybody, strict=True)
    return tuple(NetBenefit(float(at), float(one), float(other)) for at, one, other in rows)


def draw_decision_curve(section: OperatingSection, path: Path) -> None:
    """Draw the net benefit of the model, of treating all and nobody, the chosen thresholds marked; a panel each."""
    from matplotlib.figure import Figure

    from medexp.figure import COLOURS, FAINT, INK, WIDTH, finish, save

    curves: Mapping[str, tuple[NetBenefit, ...]] = section.curve
    columns = min(_COLUMNS, max(len(curves), 1))
    rows = math.ceil(max(len(curves), 1) / columns)
    alone = len(curves) == 1
    size = (5.6, 4.0) if alone else (3.2 * columns + 0.6, 2.8 * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for number, axes in enumerate(panels):
        if number >= len(curves):
            axes.set_axis_off()
            continue
        name, curve = list(curves.items())[number]
        at = [point.threshold for point in curve]
        axes.axhline(0, color=FAINT, linewidth=1.2, label="nobody")
        axes.plot(at, [point.all for point in curve], color=INK, linewidth=1.2, linestyle="--", label="all")
        axes.plot(at, [point.model for point in curve], color=COLOURS[0], linewidth=WIDTH, label="by the model")
        if (threshold := section.chosen.thresholds.get(name)) is not None:
            axes.axvline(threshold, color=COLOURS[1], linewidth=1.2, linestyle=":", label=f"threshold {threshold:.3f}")
        top = max(max(point.model for point in curve), curve[0].all, 0.01)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.25 * top, 1.1 * top)
        title = "decision curve, test" if alone else name if len(name) <= 28 else f"{name[:27]}…"
        left, last = number % columns == 0, number + columns >= len(curves)
        finish(axes, title=title, x="threshold probability" if last else "", y="net benefit" if left else "")
        if number and (legend := axes.get_legend()) is not None:
            legend.remove()
    save(figure, path)
