"""VGG-16."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import rgb, scaled
from medexp.models.pretrained import Pretrained
from medexp.models.published import KERAS, Published
from medexp.types import DataSpec

PUBLISHED = Published(
    f"{KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"
)


def vgg16(
    spec: DataSpec,
    *,
    name: str = "vgg16",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    dropout: float = 0.5,
) -> keras.Model:
    """Return VGG-16 (Simonyan & Zisserman, 2015) of keras.applications.

    Args:
        spec: image shape and outputs; a grey image is repeated over the three channels the network expects.
        name: of the model.
        weights: `imagenet`, a file of the application without its top or of an earlier run, or None.
        weights_folders: where the published weights are looked for.
        weights_download: the folder that a download goes to; None for Keras' cache.
        dropout: before the last layer.

    Returns:
        As `classifier` says; pixels are scaled as its weights expect it.

    Raises:
        ConfigError: images that are too small, or weights that are not to be had or do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = scaled(rgb(image), "caffe")
        return keras.applications.VGG16(include_top=False, weights=None, input_tensor=x).output

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, PUBLISHED),
        dropout=dropout,
        smallest=32,
    )
