"""What every policy of conf/augmentation keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from medexp.config.instantiate import instantiate
from medexp.config.register import CONF

POLICIES = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))
RNG = np.random.default_rng(0)
BATCHES = {"grey": RNG.uniform(0, 255, (5, 24, 24, 1)), "colour": RNG.uniform(0, 255, (3, 20, 28, 3))}
IMAGES = BATCHES["grey"].astype(np.float32)


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


def policy(name: str) -> Sequence[keras.layers.Layer]:
    node = OmegaConf.to_container(OmegaConf.load(CONF / "augmentation" / f"{name}.yaml"))
    return instantiate("augmentation", node)


def applied(name: str, images: np.ndarray, *, training: bool = True, seed: int = 0) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    x = keras.ops.convert_to_tensor(images.astype(np.float32))
    for layer in policy(name):
        x = layer(x, training=training)
    return keras.ops.convert_to_numpy(x)


def test_all_policies_are_tested() -> None:
    assert POLICIES == ["light", "none", "strong"], "a policy came or went: change this list"


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("kind", BATCHES)
def test_shape_type_and_range_of_a_batch_are_kept(kind: str, name: str) -> None:
    found = applied(name, BATCHES[kind])
    assert (found.shape, found.dtype) == (BATCHES[kind].shape, np.float32)
    assert found.min() > -0.2 * 255
    assert found.max() < 1.2 * 255


@pytest.mark.parametrize("name", POLICIES)
def test_images_are_as_they_are_outside_of_training(name: str) -> None:
    assert np.abs(applied(name, IMAGES, training=False) - IMAGES).max() < 1e-3


@pytest.mark.parametrize("name", POLICIES)
def test_a_seed_gives_the_same_images_again(name: str) -> None:
    assert (applied(name, IMAGES, seed=3) == applied(name, IMAGES, seed=3)).all()


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "none"])
def test_another_seed_gives_other_images(name: str) -> None:
    assert (applied(name, IMAGES, seed=3) != applied(name, IMAGES, seed=4)).any()


def test_the_policy_none_does_nothing() -> None:
    assert (applied("none", IMAGES) == IMAGES).all()


def test_the_policy_strong_changes_more_than_light() -> None:
    y, x = np.mgrid[:24, :24]
    smooth = np.repeat(((x + y) * 5.0)[np.newaxis, :, :, np.newaxis], 40, axis=0)
    light, strong = (np.abs(applied(name, smooth) - smooth).mean() for name in ("light", "strong"))
    assert strong > 1.5 * light


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_mirrors_an_image_unasked(name: str) -> None:
    assert not [layer for layer in policy(name) if isinstance(layer, keras.layers.RandomFlip)]


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", POLICIES)
def test_it_works_in_every_precision_inside_a_graph(name: str, precision: str) -> None:
    keras.config.set_dtype_policy(precision)
    x = image = keras.Input((24, 24, 1))
    for layer in policy(name):
        x = layer(x)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(dtype="float32")(x))
    model.compile(loss="mse", optimizer="sgd", jit_compile=False)
    loss = model.train_on_batch(IMAGES, IMAGES.mean(axis=(1, 2)))
    assert np.isfinite(loss)
    assert loss < 100**2
