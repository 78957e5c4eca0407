"""Pictures as `data:` addresses, each in the section that it belongs to."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medexp.evaluation.evidence import SaliencySection

logger = logging.getLogger(__name__)
ELSEWHERE = "metrics"
_PLACES = (  # the first section of which a word occurs in the title or the file's name
    ("calibration", ("reliab", "calibrat")),
    ("operating-point", ("decision curve", "decision_curve", "net benefit", "operating")),
    ("subgroups", ("subgroup",)),
    ("robustness", ("robust", "corrupt")),
    ("abstention", ("abstention", "coverage", "conformal", "refus", "strange", "distribution")),
    ("saliency", ("saliency", "activation", "gallery", "where it looks")),
    ("configuration", ("augment",)),
    ("metrics", ("roc", "recall", "confusion")),
    ("training", ("curves", "training", "epoch")),
)
_PLOTS = {
    "ROC curves": "roc.png",
    "Precision and recall": "precision_recall.png",
    "Confusion of classes": "confusion_matrix.png",
    "Images as the augmentation makes them": "augmentation.png",
}
_PHOTOGRAPHS = ("saliency", "configuration")  # their grey levels mean something: they stay as they are in the dark
_SHEETS = ("corruptions.png",)  # photographs among charts
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@dataclass(frozen=True)
class Picture:
    """One picture; `source` is its `data:` address, None where the file is missing. `chart`: drawn on white."""

    title: str
    source: str | None
    chart: bool


def plotted(pictures: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return `pictures` and, where they are not among them, those of the run's `plots`.

    Args:
        pictures: by title, files beside `evaluation.json`.
        folder: of `evaluation.json`, in the run's.
    """
    known = {Path(file).name for file in pictures.values()}
    plots = {title: f"../plots/{name}" for title, name in _PLOTS.items() if name not in known}
    return {**pictures, **{title: file for title, file in plots.items() if (folder / file).is_file()}}


def placed(pictures: Mapping[str, str], folder: Path) -> dict[str, tuple[Picture, ...]]:
    """Return the pictures of an evaluation by the anchor of their section.

    Args:
        pictures: by title, files beside `evaluation.json`.
        folder: of `evaluation.json`.
    """
    found: dict[str, tuple[Picture, ...]] = {}
    for title, file in pictures.items():
        text = f"{title} {Path(file).name}".lower()
        place = next((name for name, words in _PLACES if any(word in text for word in words)), ELSEWHERE)
        photographs = place in _PHOTOGRAPHS or Path(file).name in _SHEETS
        picture = Picture(title, data_address(folder / file), not photographs)
        found[place] = (*found.get(place, ()), picture)
    return found


def gallery(section: SaliencySection | None, folder: Path) -> dict[str, str | None]:
    """Return the `data:` addresses of the pictures of a gallery by their files."""
    if section is None:
        return {}
    files = {shown.picture for group in section.gallery.values() for shown in group}
    return {file: data_address(folder / file) for file in sorted(files)}


def data_address(path: Path) -> str | None:
    """Return a picture as a `data:` address; None, and a line in the log, where there is none that can be read."""
    kind = _TYPES.get(path.suffix.lower())
    try:
        content = path.read_bytes()
    except OSError as error:
        logger.warning("a picture of the report is missing (%s): %s", error.strerror, path)
        return None
    if kind is None:
        logger.warning("a picture of the report is of no known kind: %s", path)
        return None
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
