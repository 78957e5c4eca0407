"""Pictures of robustness: what was done to images, and what that did to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medexp.evaluation.evidence import RobustnessSection
from medexp.evaluation.robustness.corruption import SEVERITIES, corrupt
from medexp.figure import COLOURS, INK, WIDTH, finish, save

SHOWN = ("auc", "sensitivity", "specificity", "quadratic_kappa", "balanced_accuracy", "f1")  # the first three there are
_PANELS = 3
_MARKERS = "osD^"
_ASIDE = 0.06


def draw_robustness(section: RobustnessSection, path: Path) -> None:
    """Draw the leading metrics over the severity, a curve for each corruption, with their intervals; 0 is clean."""
    names = [name for name in SHOWN if name in section.clean][:_PANELS]
    figure = Figure(figsize=(3.9 * max(len(names), 1) + 1.4, 3.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, max(len(names), 1)))
    for axes, name in zip(panels, names, strict=False):
        axes.axhline(section.clean[name].value, color=INK, linestyle=":", linewidth=1)
        for number, corruption in enumerate(dict.fromkeys(point.corruption for point in section.corrupted)):
            _curve(axes, section, name, corruption, number=number)
        axes.set_xticks([0, *SEVERITIES], ["clean", *map(str, SEVERITIES)])
        title = name.replace("_", " ") + (f", test (n={section.images})" if axes is panels[0] else "")
        finish(axes, title=title, x="severity", y="", legend_outside=True)
        if axes is not panels[-1] and axes.get_legend() is not None:
            axes.get_legend().remove()
    save(figure, path)


def _curve(axes: Axes, section: RobustnessSection, name: str, corruption: str, *, number: int) -> None:
    """One corruption; a little to the side, so that intervals do not hide each other."""
    points = [p for p in section.corrupted if p.corruption == corruption and name in p.metrics]
    found = [section.clean[name], *(point.metrics[name] for point in points)]
    values, low, high = (np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high"))
    axes.errorbar(
        np.array([0, *(point.severity for point in points)]) + _ASIDE * (number - 1.5),
        values,
        yerr=np.clip([values - low, high - values], 0, None),
        color=COLOURS[number % len(COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4.5,
        linewidth=WIDTH,
        elinewidth=1,
        label=corruption,
    )


def draw_corruptions(image: np.ndarray, path: Path, *, corruptions: Sequence[str], seed: int = 0) -> None:
    """Draw one image as it is and under each corruption at each severity.

    Args:
        image: prepared, `uint8` or `uint16`, (height, width, channels).
        path: of the PNG.
        corruptions: what `corrupt` takes.
        seed: of noise.
    """
    figure = Figure(figsize=(1.5 * (len(SEVERITIES) + 1) + 0.4, 1.6 * len(corruptions) + 0.5), layout="constrained")
    panels = figure.subplots(len(corruptions), len(SEVERITIES) + 1, squeeze=False)
    for number, (row, corruption) in enumerate(zip(panels, corruptions, strict=True)):
        for axes, severity in zip(row, (0, *SEVERITIES), strict=True):
            shown = image
            if severity:
                shown = corrupt(image[np.newaxis], corruption=corruption, severity=severity, seed=seed)[0]
            top = np.iinfo(shown.dtype).max
            grey = {"cmap": "gray", "vmin": 0, "vmax": 1} if shown.shape[2] == 1 else {}
            axes.imshow((shown / top)[:, :, 0] if grey else shown / top, **grey)
            axes.set_xticks([])
            axes.set_yticks([])
            if not number:
                axes.set_title(f"severity {severity}" if severity else "clean", fontsize=9, color=INK)
            if not severity:
                axes.set_ylabel(corruption, color=INK)
    save(figure, path)
