"""ResNet-50."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import keras

from medexp.errors import ConfigError
from medexp.models.classifier import classifier
from medexp.models.image_input import rgb, scaled
from medexp.models.pretrained import Pretrained
from medexp.models.published import KERAS, Published
from medexp.models.resnet import bottleneck_block, resnet_features, stem_for
from medexp.types import DataSpec

PUBLISHED = Published(
    f"{KERAS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"
)


def resnet50(
    spec: DataSpec,
    *,
    name: str = "resnet50",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    stem: Literal["small", "imagenet", "auto"] = "auto",
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return ResNet-50 (He et al., 2016), the network of keras.applications but for the stem.

    Args:
        spec: image shape and outputs; a grey image is repeated over the three channels the network expects.
        name: of the model.
        weights: `imagenet`, a file of the application without its top or of an earlier run, or None.
        weights_folders: where the published weights are looked for.
        weights_download: the folder that a download goes to; None for Keras' cache.
        stem: `imagenet`: the image is quartered first, as published weights need it; `small`: it is not; `auto`: small
            below 64 pixels, unless the weights are ImageNet's.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation: Keras' 0.99 needs hundreds of steps to forget its start.

    Returns:
        As `classifier` says; pixels are scaled as its weights expect it.

    Raises:
        ConfigError: ImageNet weights with the small stem, or weights that are not to be had or do not fit.
    """
    if weights == "imagenet" and stem == "small":
        raise ConfigError(
            "The ImageNet weights of resnet50 are of a network with the stem of ImageNet. "
            "Received: model.stem=small, model.weights=imagenet. Override: model.stem=imagenet or model.weights=null"
        )

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = scaled(rgb(image), "caffe")
        chosen = stem_for(stem, spec, weights=weights)
        return resnet_features(x, block=bottleneck_block, depths=(3, 4, 6, 3), stem=chosen)

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, PUBLISHED),
        dropout=dropout,
        bn_momentum=bn_momentum,
    )
