"""Where a network looks, and whether that depends on what it has learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medexp.evaluation.evidence import SaliencySection
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.saliency.gallery import draw_gallery
from medexp.evaluation.saliency.picks import answers, pick
from medexp.evaluation.saliency.similarity import rank_correlations
from medexp.imaging.scale import scale

LIMIT = 0.5  # trained networks have 0.05 to 0.4 here, maps that show the image alone have 1
CHECKED = 32
Maps = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Forgotten:
    """The maps of a network whose weights are random, all of them or those next to the output.

    Args:
        what: which, in words that name a step of the cascade.
        maps: of prepared pixels; asked once, before the next of these is asked for.
    """

    what: str
    maps: Maps


def saliency_section(
    predictions: Predictions,
    *,
    thresholds: Mapping[str, float],
    images: Callable[[np.ndarray], np.ndarray],
    maps: Maps,
    method: str,
    forgotten: Iterable[Forgotten],
    folder: Path,
    count: int,
    checked: int = CHECKED,
) -> SaliencySection:
    """Draw the gallery, and compare the maps with those of networks that have forgotten what they learnt.

    Maps that hardly change when the weights are random show edges of the image, not what the network has learnt
    (Adebayo et al., NeurIPS 2018). Compared is the map of the answer, by rank correlation. Its mean over images is
    taken without its sign, for a random network may see the same pattern with either, and averaged over networks.

    Args:
        predictions: of the test split, n images.
        thresholds: of the operating point.
        images: gives prepared pixels (m, height, width, channels) by places (m,) in the predictions.
        maps: gives (m, rows, columns, outputs) of prepared pixels, signed.
        method: how `maps` makes them: `cam` or `gradcam`.
        forgotten: by `what`, from little forgotten to all; the last `what` decides.
        folder: of `evaluation.json`; pictures go to `gallery` in it.
        count: of images of each kind.
        checked: how many images the maps are compared on, spread over the split.
    """
    picks = pick(predictions, thresholds=thresholds, count=count)
    shown = np.unique([each.image for group in picks.values() for each in group]).astype(int)
    pixels = images(shown)
    drawn = dict(zip(shown.tolist(), scale(pixels), strict=True))
    found = dict(zip(shown.tolist(), maps(pixels), strict=True))
    gallery = draw_gallery(picks, keys=predictions.keys, images=drawn, maps=found, folder=folder)

    n = len(predictions.keys)
    places = np.unique(np.linspace(0, n - 1, min(checked, n)).round().astype(int))
    units = [each.output for each in answers(predictions, places, thresholds=thresholds)]
    cascade = _cascade(maps, forgotten, images(places), units)
    similarity = list(cascade.values())[-1]
    return SaliencySection(method, similarity, similarity < LIMIT, LIMIT, gallery, cascade, len(places))


def _cascade(maps: Maps, forgotten: Iterable[Forgotten], pixels: np.ndarray, units: Sequence[int]) -> dict[str, float]:
    """By `what`, the similarity of the maps of one unit for each image."""

    def chosen(found: np.ndarray) -> np.ndarray:
        return np.stack([found[place, ..., unit] for place, unit in enumerate(units)])

    learnt = chosen(maps(pixels))
    means: dict[str, list[float]] = {}
    for each in forgotten:
        mean = rank_correlations(learnt, chosen(each.maps(pixels))).mean()
        means.setdefault(each.what, []).append(abs(float(mean)))
    return {what: float(np.mean(values)) for what, values in means.items()}
