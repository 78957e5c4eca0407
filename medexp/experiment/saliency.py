"""Where a trained network looks on its test images: models draw the maps, evaluation judges and shows them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from medexp.data.module import DataModule
    from medexp.evaluation.evidence import SaliencySection
    from medexp.evaluation.predictions import Predictions
    from medexp.evaluation.saliency.section import Forgotten

logger = logging.getLogger(__name__)
SHARES = (0.0, 0.25, 0.5, 1.0)  # of the layers that forget; the first is the last layer alone
SEEDS = (0, 1, 2)


def saliency(
    network: keras.Model,
    test: Predictions,
    data: DataModule,
    *,
    thresholds: Mapping[str, float],
    folder: Path,
    count: int,
) -> SaliencySection:
    """Draw the gallery of the test split, and check that the maps depend on what was learnt.

    Args:
        network: as trained, or `calibrated`.
        test: what the calibrated network says of all of the test split.
        data: set up.
        thresholds: of the operating point.
        folder: of `evaluation.json`.
        count: of images of each kind.

    Raises:
        ConfigError: the network has no feature map to look at; says what is missing.
    """
    from medexp.evaluation.saliency.section import saliency_section
    from medexp.models.activation_maps import ActivationMaps

    maps = ActivationMaps(network)
    section = saliency_section(
        test,
        thresholds=thresholds,
        images=partial(data.images, "test"),
        maps=maps,
        method=maps.method,
        forgotten=_forgotten(network),
        folder=folder,
        count=count,
    )
    if not section.passed:
        logger.warning(
            "the maps of where the network looks are much the same with random weights (similarity %.2f, limit %.2f): "
            "they show the image more than what was learnt",
            section.similarity,
            section.limit,
        )
    return section


def _forgotten(network: keras.Model) -> Iterator[Forgotten]:
    from medexp.evaluation.saliency.section import Forgotten
    from medexp.models.activation_maps import ActivationMaps
    from medexp.models.randomised import cascade

    maps: ActivationMaps | None = None
    for step in cascade(network, shares=SHARES, seeds=SEEDS):
        maps = maps or ActivationMaps(step.network)  # the same network each time, with other weights
        yield Forgotten(f"{step.random} of {step.layers} layers", maps)
