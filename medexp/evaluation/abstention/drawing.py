"""The picture of when a model had better not answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medexp.decision.feature_space import FeatureSpace
from medexp.evaluation.abstention.section import ABSENT, ALL
from medexp.evaluation.evidence import AbstentionSection
from medexp.figure import COLOURS, INK, WIDTH, finish, save

_BINS = 40
_TALL = 0.32  # inches a class


def draw_abstention(
    section: AbstentionSection,
    path: Path,
    *,
    space: FeatureSpace,
    features_val: np.ndarray | None,
    features_test: np.ndarray,
) -> None:
    """Draw the coverage of each class with its interval, and how strange validation and test images are.

    Args:
        section: what was counted.
        path: of the PNG.
        space: whose scores are shown, with the threshold.
        features_val: pooled features of validation, (n, d); None where that is not at hand.
        features_test: of test, (m, d).
    """
    rows = len(section.achieved)
    figure = Figure(figsize=(10.4, max(3.8, 1.6 + _TALL * rows)), layout="constrained")
    left, right = figure.subplots(1, 2)
    _coverage(left, section)
    features = {"test": features_test} if features_val is None else {"validation": features_val, "test": features_test}
    _strangeness(right, {name: space.scores(values) for name, values in features.items()}, threshold=space.threshold)
    save(figure, path)


def _coverage(axes: Axes, section: AbstentionSection) -> None:
    names = list(section.achieved)
    for place, name in enumerate(names):
        found = section.achieved[name]
        colour = COLOURS[0] if section.within.get(name, True) else COLOURS[1]
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=WIDTH)
        axes.plot(found.value, place, "o", color=colour, markersize=6)
    axes.axvline(section.coverage, color=INK, linestyle=":", linewidth=1.2, label=f"chosen: {section.coverage:g}")
    titles = [f"no {name.removeprefix(ABSENT)}" if name.startswith(ABSENT) else name for name in names]
    axes.set_yticks(range(len(names)), [f"{title} images" if title == ALL else title for title in titles])
    axes.set_ylim(len(names) - 0.5, -0.5)
    if not all(section.within.values()):
        axes.plot([], [], "o-", color=COLOURS[1], linewidth=WIDTH, label="less than chance explains")
    finish(axes, title="conformal sets, test", x="share of images whose set holds the true class", y="")


def _strangeness(axes: Axes, scores: Mapping[str, np.ndarray], *, threshold: float) -> None:
    both = np.concatenate(list(scores.values()))
    edges = np.linspace(both.min(), max(both.max(), both.min() + 1e-6), _BINS + 1)
    for (name, values), colour in zip(scores.items(), COLOURS, strict=False):
        weights = np.full(len(values), 1 / len(values))
        label = f"{name} (n={len(values)}): {(values > threshold).mean():.1%} refused"
        axes.hist(values, edges.tolist(), weights=weights, color=colour, alpha=0.45, label=label)
    if np.isfinite(threshold):
        axes.axvline(threshold, color=INK, linestyle=":", linewidth=1.2, label=f"threshold {threshold:.2f}")
    finish(axes, title="strangeness", x="score: further from training images to the right", y="share of images")
