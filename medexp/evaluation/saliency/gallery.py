"""The gallery: each image beside what spoke for its answer."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from medexp.evaluation.evidence import Shown
from medexp.evaluation.saliency.overlay import overlay, rgb
from medexp.evaluation.saliency.picks import Pick
from medexp.figure import INK, save

FOLDER = "gallery"
SIDE = 224  # pixels that a small image is enlarged to, by whole numbers
FULL = 98  # percentile of the sizes of all values: a few outliers leave the rest its colour
TILE, GAP, ABOVE, BELOW = 2.3, 0.06, 0.4, 0.34  # inches: two lines of title, two below
LONGEST = 34  # letters of a line


def draw_gallery(
    picks: Mapping[str, Sequence[Pick]],
    *,
    keys: Sequence[str],
    images: Mapping[int, np.ndarray],
    maps: Mapping[int, np.ndarray],
    folder: Path,
) -> dict[str, tuple[Shown, ...]]:
    """Write a picture for each pick into `folder`/gallery, in place of those that are there.

    One colour means the same in all of them.

    Args:
        picks: by kind.
        keys: names of the images.
        images: by place, (height, width, channels), 0 to 255.
        maps: by place, (rows, columns, outputs).
        folder: the one of `evaluation.json`.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    shown: dict[str, tuple[Shown, ...]] = {}
    full = _full([maps[each.image][..., each.output] for group in picks.values() for each in group])
    for kind, group in picks.items():
        rows = []
        for number, each in enumerate(group, 1):
            picture = f"{FOLDER}/{re.sub(' ', '_', kind)}_{number}.png"
            activation = each.sign * maps[each.image][..., each.output]
            _draw(each, keys[each.image], images[each.image], activation, full=full, path=folder / picture)
            rows.append(Shown(keys[each.image], each.label, each.answer, each.probability, picture))
        shown[kind] = tuple(rows)
    return shown


def _full(maps: Sequence[np.ndarray]) -> float:
    sizes = np.abs(np.concatenate([each.ravel() for each in maps])) if maps else np.zeros(0)
    sizes = sizes[np.isfinite(sizes)]
    return float(np.percentile(sizes, FULL)) if len(sizes) else 0.0


def _draw(pick: Pick, key: str, image: np.ndarray, activation: np.ndarray, *, full: float, path: Path) -> None:
    large = _enlarged(image)
    wide, high = TILE, TILE * min(large.shape[0] / large.shape[1], 2)
    figure = Figure(figsize=(2 * wide + 3 * GAP, ABOVE + high + BELOW))  # a layout engine takes ten times as long
    left, right = (_tile(figure, number, wide, high) for number in range(2))
    _show(left, rgb(large), f"is {pick.label}")
    _show(right, overlay(large, activation, full=full), f"answer {pick.answer}: {pick.probability:.3f}")
    said = f"{_cut(key)}\nred speaks for the answer, blue against it"
    figure.text(0.5, 0.03, said, fontsize=6.5, color=INK, ha="center", va="bottom")
    save(figure, path)


def _tile(figure: Figure, number: int, wide: float, high: float) -> Axes:
    """The place of a picture, in inches, beside the one before it."""
    width, height = figure.get_size_inches()
    left = GAP + number * (wide + GAP)
    return figure.add_axes((left / width, BELOW / height, wide / width, high / height))


def _show(axes: Axes, pixels: np.ndarray, title: str) -> None:
    axes.imshow(pixels, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title("\n".join(textwrap.wrap(title, LONGEST, max_lines=2, placeholder=" ...")), fontsize=8, color=INK)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Small images larger, pixel by pixel; large ones smaller: a page holds many of them."""
    longest = max(image.shape[:2])
    if longest <= SIDE:
        times = max(SIDE // longest, 1)
        return np.repeat(np.repeat(image, times, axis=0), times, axis=1)
    size = (round(image.shape[1] * SIDE / longest) or 1, round(image.shape[0] * SIDE / longest) or 1)
    return np.asarray(Image.fromarray(rgb(image)).resize(size, Image.Resampling.BOX))


def _cut(key: str) -> str:
    return key if len(key) <= 2 * LONGEST else f"...{key[-2 * LONGEST + 3 :]}"
