"""Pixels arrive as networks were trained on them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.models.image_input import image_input, rgb, scaled
from medexp.types import DataSpec, InputSpec


def spec(height: int, width: int, channels: int) -> DataSpec:
    return DataSpec("d", "binary", ("no", "yes"), InputSpec(height, width, channels), {}, "", "")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_a_scale_is_that_of_keras_applications(mode: str, channels: int) -> None:
    image = image_input(spec(8, 9, channels), network="n")
    model = keras.Model(image, scaled(rgb(image), mode))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 9, channels)).astype(np.float32)
    wanted = keras.applications.imagenet_utils.preprocess_input(np.broadcast_to(pixels, (2, 8, 9, 3)).copy(), mode=mode)
    assert np.allclose(model(pixels), wanted, atol=2e-4 if mode == "caffe" else 1e-5)


def test_a_scale_is_computed_in_float32_in_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        image = image_input(spec(8, 9, 1), network="n")
        found = scaled(rgb(image), "torch")
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == "float32"


@pytest.mark.parametrize(("height", "width"), [(31, 64), (64, 31)])
def test_images_that_are_too_small_are_refused_with_what_mends_it(height: int, width: int) -> None:
    with pytest.raises(ConfigError) as caught:
        image_input(spec(height, width, 1), network="vgg16", smallest=32)
    assert str(caught.value) == (
        "vgg16 takes images of 32 x 32 pixels or more. "
        f"Received: data.input.height={height}, data.input.width={width}. "
        f"Override: data.input.height={max(height, 32)} data.input.width={max(width, 32)}"
    )
