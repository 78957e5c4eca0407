from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.evaluation import plots
from medexp.evaluation.confusion import draw_confusion
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.predictions import Predictions
from medexp.types import Task


def predictions(seed: int, classes: int = 2) -> Predictions:
    rng = np.random.default_rng(seed)
    task: Task = "binary" if classes == 2 else "multiclass"
    names = ("clear", "nodule", "mass", "streak")[:classes]
    probabilities = rng.dirichlet(np.ones(classes), 40).astype(np.float32)
    return Predictions("test", tuple(map(str, range(40))), np.arange(40) % classes, probabilities, names, task)


def history(seed: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    keys = ("loss", "auc", "val_loss", "val_auc", "learning_rate")
    return [{key: float(rng.random()) for key in keys} for _ in range(5)]


def findings(seed: int) -> Predictions:
    """Six of them, one that nobody has."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (40, 6))
    labels[:, 4] = 0
    return Predictions("test", tuple(map(str, range(40))), labels, rng.random((40, 6)), SIX, "multilabel")


def grades(seed: int) -> Predictions:
    return replace(predictions(seed, 4), task="ordinal")


SIX = ("mass", "edema", "nodule", "effusion", "hernia", "a name that is far too long for a small panel")
EACH = dict.fromkeys(SIX, 0.5)
AT = {"nodule": 0.5}
DRAWINGS: dict[str, Callable[[int, Path], None]] = {
    "curves": lambda seed, path: plots.draw_curves(history(seed), 2, path),
    "confusion": lambda seed, path: draw_confusion(predictions(seed), AT, path),
    "confusion of four": lambda seed, path: draw_confusion(predictions(seed, 4), {}, path),
    "roc": lambda seed, path: plots.draw_roc(predictions(seed), AT, path),
    "roc of four": lambda seed, path: plots.draw_roc(predictions(seed, 4), {}, path),
    "confusion of findings": lambda seed, path: draw_confusion(findings(seed), EACH, path),
    "roc of findings": lambda seed, path: plots.draw_roc(findings(seed), EACH, path),
    "precision-recall of findings": lambda seed, path: plots.draw_precision_recall(findings(seed), EACH, path),
    "confusion of grades": lambda seed, path: draw_confusion(grades(seed), {}, path),
    "roc of grades": lambda seed, path: plots.draw_roc(grades(seed), {}, path),
    "precision-recall of grades": lambda seed, path: plots.draw_precision_recall(grades(seed), {}, path),
    "precision-recall": lambda seed, path: plots.draw_precision_recall(predictions(seed), AT, path),
    "precision-recall of four": lambda seed, path: plots.draw_precision_recall(predictions(seed, 4), {}, path),
}


def drawn(draw: Callable[[Path], None], path: Path) -> np.ndarray:
    draw(path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_has_a_sane_size_and_something_on_it(name: str, tmp_path: Path) -> None:
    picture = drawn(partial(DRAWINGS[name], 0), tmp_path / "new" / "a.png")
    height, width, _ = picture.shape
    assert 300 < height < 1500
    assert 300 < width < 3000
    assert 0.01 < (picture < 200).any(axis=2).mean() < 0.9


@pytest.mark.parametrize("name", DRAWINGS)
def test_other_data_is_another_picture_and_the_same_the_same(name: str, tmp_path: Path) -> None:
    first, same, other = (drawn(partial(DRAWINGS[name], seed), tmp_path / "a.png") for seed in (0, 0, 1))
    assert (first == same).all()
    assert (first != other).any()


def test_the_operating_point_is_marked(tmp_path: Path) -> None:
    low, high = (
        drawn(partial(plots.draw_roc, predictions(0), {"nodule": threshold}), tmp_path / "a.png")
        for threshold in (0.2, 0.8)
    )
    assert (low != high).any()


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_an_operating_point_has_its_intervals_about_it(task: Task, tmp_path: Path) -> None:
    shown, at = (predictions(0), AT) if task == "binary" else (findings(0), EACH)
    plain, crossed = (tmp_path / name for name in ("plain.png", "crossed.png"))
    achieved = metric_estimates(shown, thresholds=at, resamples=20, confidence=0.95)
    without = drawn(partial(plots.draw_roc, shown, at), plain)
    about = drawn(partial(plots.draw_roc, shown, at, achieved=achieved), crossed)
    assert 20 < (without != about).any(axis=2).sum() < 20_000


def test_a_training_of_one_epoch_is_drawn(tmp_path: Path) -> None:
    blank = history(0)[:1]
    picture = drawn(partial(plots.draw_curves, blank, 1), tmp_path / "a.png")
    other = drawn(partial(plots.draw_curves, [{**blank[0], "val_auc": 5.0}], 1), tmp_path / "b.png")
    assert (picture != other).any()


@pytest.mark.filterwarnings("error")
def test_a_threshold_that_calls_nothing_positive_is_drawn_without_a_point(tmp_path: Path) -> None:
    none, half = (
        drawn(partial(plots.draw_precision_recall, predictions(0), {"nodule": threshold}), tmp_path / "a.png")
        for threshold in (1.0, 0.5)
    )
    assert (none != half).any()


def test_panels_that_no_finding_needs_stay_empty(tmp_path: Path) -> None:
    picture = drawn(partial(draw_confusion, findings(0), EACH), tmp_path / "a.png")  # six findings, five a row
    height, width, _ = picture.shape
    assert (picture[height * 2 // 3 :, width // 2 :] == 255).all()
