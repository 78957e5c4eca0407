"""How all pictures look, and how they become PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT = "#1d2733", "#c9d1da"
COLOURS = ("#0b6e99", "#d1495b", "#3b8a5a", "#8a5fb0", "#c98a1b", "#4f6d7a")
WIDTH = 2.0


def finish(axes: Axes, *, title: str, x: str, y: str, grid: bool = True, legend_outside: bool = False) -> None:
    """Give `axes` its title, labels and legend."""
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    if axes.get_legend_handles_labels()[0]:
        place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)} if legend_outside else {}
        axes.legend(frameon=False, fontsize=8, **place)


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as a PNG, the folder made where it is missing."""
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
