"""MobileNetV3-Small."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import rgb
from medexp.models.pretrained import Pretrained
from medexp.models.published import KERAS, Published
from medexp.types import DataSpec

PUBLISHED = Published(
    f"{KERAS}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5", "d3e8ec802a04aa4fc771ee12a9a9b836"
)


def mobilenet(
    spec: DataSpec,
    *,
    name: str = "mobilenet",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return MobileNetV3-Small (Howard et al., 2019) of keras.applications.

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
        shape = (None, *x.shape[2:])  # said in full, below 32 pixels would be refused, which the layers can do
        return keras.applications.MobileNetV3Small(
            include_top=False, weights=None, input_tensor=x, input_shape=shape
        ).output

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, PUBLISHED),
        dropout=dropout,
        bn_momentum=bn_momentum,
    )
