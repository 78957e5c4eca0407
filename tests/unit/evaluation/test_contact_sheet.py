from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.evaluation.contact_sheet import described, draw_contact_sheet
from medexp.types import Task

NAMES = ("none", "mild", "severe")


@pytest.mark.parametrize(
    ("task", "target", "said"),
    [
        ("binary", [1.0], "mild"),
        ("binary", [0.0], "none"),
        ("binary", [0.7], "0.70 mild + 0.30 none"),
        ("multiclass", [0.0, 0.0, 1.0], "severe"),
        ("multiclass", [0.2, 0.8, 0.0], "0.80 mild + 0.20 none"),
        ("multilabel", [1.0, 0.0, 1.0], "none + severe"),
        ("multilabel", [0.0, 0.0, 0.0], "none of these"),
        ("multilabel", [0.4, 1.0, 0.0], "1.00 mild + 0.40 none"),
        ("ordinal", [0.0, 0.0], "none"),
        ("ordinal", [1.0, 1.0], "severe"),
        ("ordinal", [0.75, 0.75], "0.75 severe + 0.25 none"),
    ],
)
def test_a_target_is_said_in_words(task: Task, target: list[float], said: str) -> None:
    assert described(np.array(target), task=task, class_names=NAMES) == said


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_show_the_pixels_at_their_level_and_in_their_order(channels: int, tmp_path: Path) -> None:
    """Rows of images, then versions: every tile has a level of its own, which must be found in this order."""
    levels = np.array([[20, 60, 100], [140, 180, 220]], np.float32)  # two images, two versions each
    tiles = np.broadcast_to(levels[:, :, None, None, None], (2, 3, 16, 16, channels))
    targets = np.array([[1.0], [0.0]], np.float32)
    path = tmp_path / "plots" / "augmentation.png"
    draw_contact_sheet(
        tiles[:, 0],
        targets,
        tiles[:, 1:].swapaxes(0, 1),
        np.stack([targets, targets]),
        task="binary",
        class_names=("clear", "nodule"),
        policy="light",
        path=path,
    )
    sheet = np.asarray(Image.open(path).convert("L")).astype(int)
    places = {}
    for level in levels.ravel().astype(int):
        rows, columns = np.nonzero(sheet == level)
        assert len(rows) > 1000
        places[level] = (np.median(rows), np.median(columns))
    assert places[20][1] < places[60][1] < places[100][1]
    assert places[20][0] < places[140][0]
    assert places[140][1] == pytest.approx(places[20][1], abs=3)


def test_values_beyond_the_range_are_shown_as_black_and_white(tmp_path: Path) -> None:
    beyond = np.full((1, 16, 16, 1), 300, np.float32)
    draw_contact_sheet(
        beyond * 0 + 100, np.ones((1, 1)), np.stack([beyond, beyond * 0 - 30]), np.ones((2, 1, 1)),
        task="binary", class_names=("a", "b"), policy="p", path=tmp_path / "sheet.png",
    )  # fmt: skip
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    assert (sheet == 0).sum() > 1000
    assert (sheet == 100).sum() > 1000
