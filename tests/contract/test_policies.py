"""What every policy of conf/augmentation keeps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf
from pixels import ArrayPixels
from seen import layers_of

from medexp.config.instantiate import instantiate
from medexp.config.register import CONF
from medexp.data.batches import Batches
from medexp.data.changes import changes_of
from medexp.data.policy import Policy, allowed
from medexp.errors import ConfigError
from medexp.models.losses import cross_entropy
from medexp.models.module import ClassifierModule
from medexp.models.simple_cnn import simple_cnn
from medexp.training import session
from medexp.training.augmented import AugmentedModel, augment
from medexp.training.duration import Duration
from medexp.training.phase import Phase
from medexp.training.reseed import reseed
from medexp.training.schedules import cosine
from medexp.training.trainer import Trainer
from medexp.types import DataSpec, InputSpec, Invariances, Objective

POLICIES = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))
RANDOM = [name for name in POLICIES if name != "none"]
ONE_BY_ONE = [name for name in POLICIES if name not in ("mixup", "cutmix")]
RNG = np.random.default_rng(0)
BATCHES = {
    "grey": RNG.uniform(0, 255, (5, 28, 28, 1)).astype(np.float32),
    "colour": RNG.uniform(0, 255, (3, 20, 28, 3)).astype(np.float32),
    "8 bits": RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
    "large": RNG.integers(0, 256, (2, 224, 224, 1), dtype=np.uint8),
    "one": RNG.integers(0, 256, (1, 28, 28, 3), dtype=np.uint8),
    "black": np.zeros((2, 28, 28, 1), np.uint8),
}
GREY = BATCHES["grey"]
CHEST = Invariances(laterality="matters", orientation="fixed")
STRICT = Invariances("matters", "fixed", "calibrated", "diagnostic")


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


def policy(name: str, **changed: object) -> Policy:
    node = OmegaConf.to_container(OmegaConf.load(CONF / "augmentation" / f"{name}.yaml"))
    return instantiate("augmentation", {**node, **changed})


def targets(n: int) -> np.ndarray:
    return (np.arange(n) % 2).astype(np.float32)[:, np.newaxis]


def applied(name: str, images: np.ndarray, *, seed: int = 0) -> np.ndarray:
    layers = layers_of(name)
    reseed(layers, seed=seed, epoch=0)
    return np.array(augment(layers, images, targets(len(images)))[0])


def test_all_policies_are_tested() -> None:
    known = ["cutmix", "light", "medical", "mixup", "none", "randaugment", "strong"]
    assert known == POLICIES, "a policy came or went: change this list"


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("kind", BATCHES)
def test_shape_and_range_of_a_batch_are_kept(kind: str, name: str) -> None:
    found = applied(name, BATCHES[kind])
    assert (found.shape, found.dtype) == (BATCHES[kind].shape, np.float32)
    assert found.min() > -0.2 * 255
    assert found.max() < 1.2 * 255


@pytest.mark.parametrize("name", POLICIES)
def test_images_are_as_they_are_outside_of_training(name: str) -> None:
    image = keras.Input(GREY.shape[1:])
    model = AugmentedModel(keras.Model(image, keras.layers.Rescaling(1.0)(image)), layers_of(name))
    assert (model.predict(GREY, verbose=0) == GREY).all()


@pytest.mark.parametrize("name", POLICIES)
def test_a_seed_gives_the_same_images_again(name: str) -> None:
    assert (applied(name, GREY, seed=3) == applied(name, GREY, seed=3)).all()


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_gives_other_images(name: str) -> None:
    assert (applied(name, GREY, seed=3) != applied(name, GREY, seed=4)).any()


@pytest.mark.parametrize("name", RANDOM)
def test_each_image_of_a_batch_is_changed_in_its_own_way(name: str) -> None:
    same = np.repeat(GREY[:1], 12, axis=0)
    assert len({image.tobytes() for image in applied(name, same)}) > 3


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_an_image_stays_that_image_in_a_graph_that_does_not_know_the_size_of_a_batch(name: str) -> None:
    import tensorflow as tf

    y, x = np.mgrid[:28, :28] / 28
    waves = [np.sin(6 * (x * np.cos(a) + y * np.sin(a))) for a in np.linspace(0, 3, 8)]
    images = (127 + 90 * np.stack(waves))[..., np.newaxis].astype(np.float32)
    layers = layers_of(name)
    reseed(layers, seed=0, epoch=0)
    found = np.array(
        tf.function(
            lambda batch: augment(layers, batch, targets(8))[0], input_signature=[tf.TensorSpec((None, 28, 28, 1))]
        )(images)
    )
    likeness = np.corrcoef(found.reshape(8, -1), images.reshape(8, -1))[:8, 8:]
    assert (likeness.argmax(axis=1) == np.arange(8)).all()


def test_the_policy_none_does_nothing() -> None:
    assert (applied("none", GREY) == GREY).all()


def test_the_policy_strong_changes_more_than_light() -> None:
    y, x = np.mgrid[:24, :24]
    smooth = np.repeat(((x + y) * 5.0)[np.newaxis, :, :, np.newaxis], 40, axis=0)
    light, strong = (np.abs(applied(name, smooth) - smooth).mean() for name in ("light", "strong"))
    assert strong > 1.5 * light


@pytest.mark.parametrize("name", POLICIES)
def test_every_step_says_what_it_changes_and_none_mirrors_an_image_unasked(name: str) -> None:
    changes = [changes_of(layer) for layer in policy(name)]
    assert None not in changes
    assert "laterality" not in {change.fact for found in changes for change in found or ()}


@pytest.mark.parametrize("name", POLICIES)
def test_an_upright_chest_allows_every_policy(name: str) -> None:
    whole = policy(name)
    assert allowed(whole, CHEST) == whole.layers


@pytest.mark.parametrize("name", [name for name in RANDOM if name != "cutmix"])
def test_calibrated_images_refuse_what_changes_a_value(name: str) -> None:
    with pytest.raises(ConfigError, match=r"breaks intensity.*data\.invariances\.intensity=free"):
        allowed(policy(name), Invariances(intensity="calibrated"))


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_left_after_dropping_breaks_nothing(name: str) -> None:
    left = allowed(policy(name, on_conflict="drop"), STRICT)
    assert allowed(Policy("left", left), STRICT) == left
    assert [layer for layer in left if changes_of(layer)] == []


@pytest.mark.parametrize(
    ("precision", "jit"),
    [
        ("mixed_float16", False),
        ("mixed_bfloat16", False),
        pytest.param("float32", True, marks=pytest.mark.slow),
        pytest.param("mixed_float16", True, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", POLICIES)
def test_it_trains_in_every_precision_and_where_xla_compiles(name: str, precision: str, jit: bool) -> None:
    keras.config.set_dtype_policy(precision)
    image = keras.Input((28, 28, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, keras.layers.Dense(1, activation="sigmoid", dtype="float32")(x))
    model = AugmentedModel(network, layers_of(name), compiled=jit)
    model.compile(loss="binary_crossentropy", optimizer="sgd", jit_compile=jit)
    assert model.jit_compile is jit
    assert 0 < float(model.train_on_batch({"image": GREY, "target": targets(5)}, targets(5))) < 3


class Xrays:
    """The first real X-rays of each split, as a data module gives them."""

    spec = DataSpec("xrays", "binary", ("normal", "pneumonia"), InputSpec(28, 28, 1), {}, "", "")

    def __init__(self, path: Path) -> None:
        self._arrays = np.load(path)

    def train(self, steps: int | None = None) -> Batches:
        return self._batches("train", 2048, shuffle_seed=0, limit=steps)

    def val(self) -> Batches:
        return self._batches("val", 524)

    def _batches(self, split: str, n: int, **more: int | None) -> Batches:
        pixels = ArrayPixels(self._arrays[f"{split}_images"][:n, ..., np.newaxis])
        labels = self._arrays[f"{split}_labels"][:n].astype(np.float32)
        return Batches(pixels, np.arange(n), labels, batch_size=64, **more)


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
def test_a_network_learns_from_real_images_under_every_policy(name: str, medmnist: Path, tmp_path: Path) -> None:
    trainer = Trainer(max_epochs=4)
    session.reset(seed=0, precision="float32")
    result = trainer.fit(
        ClassifierModule(
            network=partial(simple_cnn, filters=[16, 32]),
            loss=cross_entropy,
            optimizer=partial(keras.optimizers.AdamW, learning_rate=3e-3),
            schedule=cosine,
        ),
        Xrays(medmnist / "pneumoniamnist.npz"),
        objective=Objective("val_auc", "max"),
        augmentation=layers_of(name),
        phases=[Phase("all", Duration(100, "%"))],
        folder=tmp_path,
        on_epoch=lambda epoch, metrics: None,
        seed=0,
    )
    assert result.best["val_auc"] > 0.93
