from __future__ import annotations

import keras
import numpy as np
import pytest

from medexp.data.mixing import CutMix, MixUp

N, SIDE = 400, 16
TARGETS = (np.arange(N) % 2).astype(np.float32)[:, np.newaxis]
BLACK_OR_WHITE = np.broadcast_to(TARGETS[:, :, None, None] * 255, (N, SIDE, SIDE, 1)).copy()


def mixed(layer: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    found = layer({"images": BLACK_OR_WHITE, "labels": TARGETS}, training=True)
    return np.array(found["images"]), np.array(found["labels"])


@pytest.mark.parametrize("layer", [MixUp(1.0, seed=0), CutMix(1.0, seed=0)], ids=["mixup", "cutmix"])
def test_a_target_is_the_share_of_its_image(layer: keras.layers.Layer) -> None:
    images, targets = mixed(layer)
    assert images.mean(axis=(1, 2)) / 255 == pytest.approx(targets, abs=1e-5)


def test_a_blend_is_the_same_all_over_and_a_cut_is_one_rectangle() -> None:
    blend, cut = mixed(MixUp(1.0, seed=0))[0], mixed(CutMix(1.0, seed=0))[0][..., 0]
    assert np.ptp(blend, axis=(1, 2)).max() < 1e-3
    assert set(np.unique(cut)) == {0.0, 255.0}
    pasted = next(image for image in cut if 0.2 < (image != image[0, 0]).mean() < 0.6) != 0
    rectangle = pasted if pasted.mean() < 0.6 else ~pasted
    odd = rectangle != rectangle[0, 0]
    assert odd.sum() == odd.any(axis=0).sum() * odd.any(axis=1).sum()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_weights_are_of_the_beta_distribution(alpha: float) -> None:
    gradient = np.linspace(0, 255, N).astype(np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32)
    layer = MixUp(alpha, seed=1)
    drawn = np.concatenate(
        [np.array(layer.get_random_transformation({"images": gradient})["mix_weight"]) for _ in range(10)]
    )
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_every_image_is_somebodys_partner_once() -> None:
    order = np.array(MixUp(1.0, seed=0).get_random_transformation({"images": BLACK_OR_WHITE})["permutation_order"])
    assert sorted(order) == list(range(N))


def test_a_cutmix_layer_is_rebuilt_from_its_config() -> None:
    assert CutMix.from_config(CutMix(0.5).get_config()).alpha == 0.5
