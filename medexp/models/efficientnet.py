"""EfficientNet-B0."""

from __future__ import annotations

import keras

from medexp.models.head import classification_head
from medexp.types import DataSpec


def efficientnet(
    spec: DataSpec, *, name: str = "efficientnet", dropout: float = 0.2, bn_momentum: float = 0.9
) -> keras.Model:
    """Return an untrained EfficientNet-B0 (Tan & Le, 2019) of keras.applications, built flat.

    Args:
        spec: image shape and outputs; a grey image is repeated over the three channels the network expects.
        name: of the model.
        dropout: before the last layer.
        bn_momentum: of every batch normalisation: Keras' 0.99 needs hundreds of steps to forget its start.

    Returns:
        A functional model from float images (batch, height, width, channels), 0 to 255, to probabilities;
        rescaling is inside.
    """
    image = keras.Input(spec.input.shape, name="image")
    colour = image if spec.input.channels == 3 else keras.layers.Concatenate(name="grey_to_rgb")([image] * 3)
    base = keras.applications.EfficientNetB0(include_top=False, weights=None, input_tensor=colour)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = bn_momentum
    return keras.Model(image, classification_head(base.output, spec, dropout=dropout), name=name)
