"""MobileNet."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from medexp.models.classifier import classifier
from medexp.models.image_input import rgb, scaled
from medexp.models.pretrained import Pretrained
from medexp.models.published import KERAS, Published
from medexp.types import DataSpec

WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}  # that weights are published of


def mobilenet_v1(
    spec: DataSpec,
    *,
    name: str = "mobilenet_v1",
    weights: str | None = None,
    weights_folders: Sequence[str | None] = (),
    weights_download: str | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> keras.Model:
    """Return MobileNet (Howard et al., 2017) of keras.applications.

    Of the published weights it takes those of 224 pixels, whatever the size of the images, as `keras.applications`
    does for most.

    Args:
        spec: image shape and outputs; a grey image is repeated over the three channels the network expects.
        name: of the model.
        weights: `imagenet`, a file of the application without its top or of an earlier run, or None.
        weights_folders: where the published weights are looked for.
        weights_download: the folder that a download goes to; None for Keras' cache.
        alpha: width; channels of each layer, as a share of those of the paper. Published: 0.25, 0.5, 0.75 and 1.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation: Keras' 0.99 needs hundreds of steps to forget its start.

    Returns:
        As `classifier` says; pixels are scaled as its weights expect it.

    Raises:
        ConfigError: images that are too small, or weights that are not to be had or do not fit.
    """

    def features(image: keras.KerasTensor) -> keras.KerasTensor:
        x = scaled(rgb(image), "tf")
        return keras.applications.MobileNet(include_top=False, weights=None, input_tensor=x, alpha=alpha).output

    width = WIDTHS.get(alpha)
    published = Published(f"{KERAS}/mobilenet/mobilenet_{width}_224_tf_no_top.h5", None) if width else None

    return classifier(
        features,
        spec,
        name=name,
        pretrained=Pretrained(weights, weights_folders, weights_download, published),
        dropout=dropout,
        smallest=31,
        bn_momentum=bn_momentum,
    )
