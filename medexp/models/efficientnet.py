"""EfficientNet-B0."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import DEVIATION, rgb
from medexp.models.pretrained import Pretrained
from medexp.models.published import Published
from medexp.types import DataSpec

PUBLISHED = Published(
    "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5", "50bc09e76180e00e4465e1a485ddc09d"
)


def efficientnet(
    spec: DataSpec,
    *,
    name: str = "efficientnet",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return EfficientNet-B0 (Tan & Le, 2019) of keras.applications.

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
        return keras.applications.EfficientNetB0(include_top=False, weights=None, input_tensor=x).output

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, PUBLISHED),
        dropout=dropout,
        bn_momentum=bn_momentum,
        adjust=_scale_as_published,
    )


def _scale_as_published(backbone: keras.Model) -> None:
    """Divide by the standard deviation of ImageNet, as the published weights expect it.

    The file holds that deviation as a variance. `keras.applications` mends it by one more layer, but only where it
    downloads the file itself; here the variance is put right, and the network is the same whatever it started from.
    """
    layer = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance, count = layer.get_weights()
    if (variance != 1).any():  # 1: not of ImageNet, but of a training without published weights
        layer.set_weights([mean, variance * DEVIATION, count])
        layer.finalize_state()
