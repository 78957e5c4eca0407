"""A small residual network for small images."""

from __future__ import annotations

from typing import Literal

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import scaled
from medexp.models.pretrained import Pretrained
from medexp.models.resnet import basic_block, resnet_features, stem_for
from medexp.types import DataSpec


def resnet_small(
    spec: DataSpec,
    *,
    name: str = "resnet_small",
    weights: str | None = None,
    width: int = 16,
    blocks: int = 2,
    stem: Literal["small", "imagenet", "auto"] = "auto",
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return the residual network of three stages that was made for 32 pixels (He et al., 2016, section 4.2).

    With `width` 16 it has 6 * `blocks` + 2 layers: 14 by default, 20 with three blocks.

    Args:
        spec: image shape and outputs; the first convolution takes the channels as they are.
        name: of the model.
        weights: a file of an earlier run with the same values, or None.
        width: channels of the first stage; each further one doubles them and halves the map.
        blocks: of each stage.
        stem: `imagenet`: the image is quartered first; `small`: it is not; `auto`: small below 64 pixels.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation: Keras' 0.99 needs hundreds of steps to forget its start.

    Returns:
        As `classifier` says.

    Raises:
        ConfigError: weights that are not there or do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = scaled(image, "tf")
        return resnet_features(x, block=basic_block, depths=[blocks] * 3, stem=stem_for(stem, spec), width=width)

    return classifier(
        features, spec, name=name, pretrained=Pretrained(weights), dropout=dropout, bn_momentum=bn_momentum
    )
