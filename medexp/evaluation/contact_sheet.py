"""A picture of training images beside what the augmentation makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from medexp.figure import INK, save
from medexp.types import Task

SHOWN = 0.005  # a smaller share of a class is not worth its ink
TILE, LINE, LONGEST = 1.45, 0.11, 24  # inches of a tile and of a line of its label, and letters of a line


def draw_contact_sheet(
    images: np.ndarray,
    targets: np.ndarray,
    augmented: np.ndarray,
    mixed: np.ndarray,
    *,
    task: Task,
    class_names: Sequence[str],
    policy: str,
    path: Path,
) -> None:
    """Draw a row for each image: as it is, then augmented versions; above a tile what it counts as.

    The grey levels of all tiles mean the same, 0 to 255: what is washed out here is washed out for the network.

    Args:
        images: float, (n, height, width, channels), 0 to 255.
        targets: (n, outputs), as the network is trained with them.
        augmented: (versions, n, height, width, channels).
        mixed: targets of the versions, (versions, n, outputs).
        task: says how targets are to be read.
        class_names: of the task.
        policy: its name, for the title.
        path: of the PNG file.
    """
    versions, rows = augmented.shape[:2]
    height, width = images.shape[1:3]
    labels = [
        [_lines(described(target, task=task, class_names=class_names)) for target in (targets[row], *mixed[:, row])]
        for row in range(rows)
    ]
    most = max(label.count("\n") + 1 for row in labels for label in row)
    size = (TILE * (versions + 1), (TILE * height / width + LINE * most) * rows + 0.3)
    close = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=size, layout=close)
    grid = figure.subplots(rows, versions + 1, squeeze=False)
    for row in range(rows):
        for column, pixels in enumerate((images[row], *augmented[:, row])):
            _tile(grid[row, column], pixels, labels[row][column])
    title = f"augmentation {policy}: the first column as it is, the second as step 1 of epoch 1 sees it"
    figure.suptitle(title, fontsize=9, color=INK, x=0.01, ha="left")
    save(figure, path)


def described(target: np.ndarray, *, task: Task, class_names: Sequence[str]) -> str:
    """Say in words what a target of `outputs` numbers stands for, such as `0.7 nodule + 0.3 clear`."""
    if task == "binary":
        shares = np.array([1 - target[0], target[0]])
    elif task == "ordinal":  # target k: how much lies above grade k
        steps = np.concatenate([[1.0], target, [0.0]])
        shares = steps[:-1] - steps[1:]
    else:
        shares = np.asarray(target)
    present = [i for i in np.argsort(-shares, kind="stable") if shares[i] > SHOWN]
    if not present:
        return "none of these"
    if all(shares[i] > 1 - SHOWN for i in present):
        return " + ".join(class_names[i] for i in present)
    return " + ".join(f"{shares[i]:.2f} {class_names[i]}" for i in present)


def _tile(axes: Axes, image: np.ndarray, label: str) -> None:
    pixels = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    axes.imshow(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(label, fontsize=6, color=INK, pad=2)


def _lines(label: str) -> str:
    """A class to a line where they do not fit side by side, and long names cut."""
    if len(label) <= LONGEST:
        return label
    parts = label.split(" + ")
    return "\n+ ".join(part if len(part) <= LONGEST else part[: LONGEST - 3] + "..." for part in parts)
