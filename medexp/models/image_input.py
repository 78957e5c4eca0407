"""Where images enter a network."""

from __future__ import annotations

from typing import Literal

import keras

from medexp.errors import ConfigError
from medexp.types import DataSpec

Scaling = Literal["unit", "tf", "torch", "caffe"]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: red, green, blue, 0 to 1
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of ImageNet: blue, green, red, 0 to 255


def image_input(spec: DataSpec, *, network: str, smallest: int = 1) -> keras.KerasTensor:
    """Return the input `image`, float pixels 0 to 255, shape (batch, height, width, channels).

    Args:
        spec: says the shape.
        network: its name, for the error.
        smallest: pixels a side below which nothing would be left of the image.

    Raises:
        ConfigError: the images are smaller than that.
    """
    height, width, _ = spec.input.shape
    if min(height, width) < smallest:
        mend = f"data.input.height={max(height, smallest)} data.input.width={max(width, smallest)}"
        raise ConfigError(
            f"{network} takes images of {smallest} x {smallest} pixels or more. "
            f"Received: data.input.height={height}, data.input.width={width}. Override: {mend}"
        )
    return keras.Input(spec.input.shape, name="image")


def rgb(image: keras.KerasTensor) -> keras.KerasTensor:
    """Return three channels: a grey image is red, green and blue alike."""
    if image.shape[-1] == 3:
        return image
    return keras.layers.Concatenate(dtype="float32", name="grey_to_rgb")([image] * 3)


def scaled(image: keras.KerasTensor, mode: Scaling) -> keras.KerasTensor:
    """Return pixels on the scale that a network was trained on; computed in `float32` under every policy.

    Args:
        image: pixels from 0 to 255; red, green, blue but for `unit` and `tf`, which take any channels.
        mode: `unit`: 0 to 1; `tf`: -1 to 1; `torch`: 0 to 1, then by ImageNet's mean and standard deviation;
            `caffe`: blue, green, red, less ImageNet's mean, not scaled (the modes of `keras.applications`).
    """
    if mode == "caffe":
        channels = [image[..., channel : channel + 1] for channel in (2, 1, 0)]
        image = keras.layers.Concatenate(dtype="float32", name="rgb_to_bgr")(channels)
    scale, offset = {
        "unit": (1 / 255, 0.0),
        "tf": (1 / 127.5, -1.0),
        "torch": (
            [1 / 255 / deviation for deviation in DEVIATION],
            [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
        ),
        "caffe": (1.0, [-mean for mean in CAFFE_MEAN]),
    }[mode]
    return keras.layers.Rescaling(scale, offset=offset, dtype="float32", name="rescale")(image)
