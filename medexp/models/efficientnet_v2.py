"""EfficientNetV2-B0."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import rgb
from medexp.models.pretrained import Pretrained
from medexp.models.published import KERAS, Published
from medexp.types import DataSpec

PUBLISHED = Published(f"{KERAS}/efficientnet_v2/efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff")


def efficientnet_v2(
    spec: DataSpec,
    *,
    name: str = "efficientnet_v2",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return EfficientNetV2-B0 (Tan & Le, 2021) of keras.applications.

    Args:
        spec: image shape and outputs; a grey image is repeated over the three channels the network expects.
        name: of the model.
        weights: `imagenet`, a file of the application without its top or of an earlier run, or None.
        weights_folders: where the published weights are looked for.
        weights_download: the folder that a download goes to; None for Keras' cache.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation: Keras' 0.99 needs hundreds of steps to forget its start.

    Returns:
        As `classifier` says; the application scales pixels itself.

    Raises:
        ConfigError: weights that are not to be had or do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = rgb(image)
        return keras.applications.EfficientNetV2B0(include_top=False, weights=None, input_tensor=x).output

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, PUBLISHED),
        dropout=dropout,
        bn_momentum=bn_momentum,
    )
