"""A residual network and a transformer look at small images as closely as at large ones."""

from __future__ import annotations

import numpy as np
import pytest

from medexp.errors import ConfigError
from medexp.models.feature_map import feature_map
from medexp.models.resnet import stem_for
from medexp.models.resnet18 import resnet18
from medexp.models.resnet50 import resnet50
from medexp.models.vit_tiny import vit_tiny
from medexp.types import DataSpec, InputSpec


def spec(height: int, width: int, channels: int = 1) -> DataSpec:
    return DataSpec("d", "binary", ("no", "yes"), InputSpec(height, width, channels), {}, "", "")


@pytest.mark.parametrize(
    ("stem", "side", "weights", "chosen"),
    [
        ("auto", 28, None, "small"),
        ("auto", 63, None, "small"),
        ("auto", 64, None, "imagenet"),
        ("auto", 28, "imagenet", "imagenet"),
        ("small", 224, None, "small"),
        ("imagenet", 28, None, "imagenet"),
    ],
)
def test_the_stem_is_that_of_the_images_and_the_weights(stem: str, side: int, weights: str | None, chosen: str) -> None:
    assert stem_for(stem, spec(side, side + 9), weights=weights) == chosen


@pytest.mark.parametrize(("stem", "side"), [("small", 4), ("imagenet", 1)])
def test_the_small_stem_leaves_the_image_as_large_as_it_is(stem: str, side: int) -> None:
    network = resnet18(spec(28, 28), stem=stem)
    assert network.get_layer(feature_map(network)).output.shape == (None, side, side, 512)


def test_imagenet_weights_want_the_stem_of_imagenet() -> None:
    with pytest.raises(ConfigError, match=r"Received: model\.stem=small, model\.weights=imagenet\. Override: model\."):
        resnet50(spec(28, 28), stem="small", weights="imagenet")


@pytest.mark.parametrize(
    ("height", "width", "patch", "grid"),
    [
        (28, 28, None, (7, 7)),
        (64, 48, None, (8, 6)),
        (224, 224, None, (14, 14)),
        (28, 30, 8, (4, 4)),
        (200, 20, None, (13, 2)),
        (20, 9, 3, (7, 3)),
    ],
)
def test_patches_cover_the_image(height: int, width: int, patch: int | None, grid: tuple[int, int]) -> None:
    network = vit_tiny(spec(height, width), depth=1, patch=patch)
    assert network.get_layer(feature_map(network)).output.shape == (None, *grid, 192)
    position = network.get_layer("embed").bias
    assert tuple(position.shape) == (*grid, 192)


def test_a_patch_is_cut_from_its_own_place() -> None:
    network = vit_tiny(spec(12, 8), depth=0, patch=4)
    images = np.zeros((1, 12, 8, 1), np.float32)
    images[0, 4:8, 4:8] = 255  # the second row, second column
    look = network.__class__(network.input, network.get_layer("embed").output)
    changed = np.abs(np.array(look(images)) - np.array(look(np.zeros_like(images)))).max(axis=-1)[0] > 1e-6
    assert changed.tolist() == [[False, False], [False, True], [False, False]]


@pytest.mark.parametrize("patch", [0, 29])
def test_a_patch_fits_the_image(patch: int) -> None:
    with pytest.raises(ConfigError, match=rf"Received: model\.patch={patch}, .* Override: model\.patch=null"):
        vit_tiny(spec(28, 28), patch=patch)
