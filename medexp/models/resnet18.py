"""ResNet-18."""

from __future__ import annotations

from typing import Literal

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import rgb, scaled
from medexp.models.pretrained import Pretrained
from medexp.models.resnet import basic_block, resnet_features, stem_for
from medexp.types import DataSpec


def resnet18(
    spec: DataSpec,
    *,
    name: str = "resnet18",
    weights: str | None = None,
    stem: Literal["small", "imagenet", "auto"] = "auto",
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return ResNet-18 (He et al., 2016).

    Args:
        spec: image shape and outputs; a grey image is repeated over three channels, so that weights of a training on
            colour images fit.
        name: of the model.
        weights: a file of an earlier run with the same stem, or None; Keras has no published ones.
        stem: `imagenet`: the image is quartered first; `small`: it is not; `auto`: small below 64 pixels.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation: Keras' 0.99 needs hundreds of steps to forget its start.

    Returns:
        As `classifier` says.

    Raises:
        ConfigError: weights that are not there or do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = scaled(rgb(image), "torch")
        return resnet_features(x, block=basic_block, depths=(2, 2, 2, 2), stem=stem_for(stem, spec))

    return classifier(
        features, spec, name=name, pretrained=Pretrained(weights), dropout=dropout, bn_momentum=bn_momentum
    )
