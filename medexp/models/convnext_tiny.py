"""ConvNeXt-Tiny."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import rgb
from medexp.models.pretrained import Pretrained
from medexp.models.published import KERAS, Published
from medexp.types import DataSpec

PUBLISHED = Published(
    f"{KERAS}/convnext/convnext_tiny_notop.h5", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"
)


def convnext_tiny(
    spec: DataSpec,
    *,
    name: str = "convnext_tiny",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    dropout: float = 0.2,
) -> keras.Model:
    """Return ConvNeXt-Tiny (Liu et al., 2022) of keras.applications.

    Args:
        spec: image shape and outputs; a grey image is repeated over the three channels the network expects.
        name: of the model.
        weights: `imagenet`, a file of the application without its top or of an earlier run, or None.
        weights_folders: where the published weights are looked for.
        weights_download: the folder that a download goes to; None for Keras' cache.
        dropout: before the last layer.

    Returns:
        As `classifier` says; the application scales pixels itself.

    Raises:
        ConfigError: images that are too small, or weights that are not to be had or do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = rgb(image)
        return keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_tensor=x).output

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, PUBLISHED),
        dropout=dropout,
        smallest=32,
    )
