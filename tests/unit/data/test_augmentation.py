from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np
import pytest

from medexp.data.affine import RandomAffine
from medexp.data.augmentation import OPERATIONS, randaugment, standard
from medexp.data.choice import RandomChoice
from medexp.data.gamma import RandomGamma
from medexp.errors import ConfigError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 24, 24, 1)).astype(np.float32)
ALL = {
    "flip": "horizontal",
    "rotation": 0.05,
    "translation": 0.1,
    "zoom": 0.1,
    "brightness": 0.1,
    "contrast": 0.2,
    "noise": 0.02,
    "elastic": 0.05,
    "gamma": 0.4,
}


def applied(layers: Iterable[keras.layers.Layer], images: np.ndarray, *, training: bool = True) -> np.ndarray:
    x = keras.ops.convert_to_tensor(images)
    for layer in layers:
        x = layer(x, training=training)
    return keras.ops.convert_to_numpy(x)


def augmented(images: np.ndarray, *, seed: int = 0, training: bool = True, **policy: object) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    return applied(standard(name="test", **policy), images, training=training)


def affine(images: np.ndarray, *, seed: int = 0, training: bool = True, **limits: float) -> np.ndarray:
    return applied((RandomAffine(seed=seed, **limits),), images, training=training)


def disc(radius: float, side: int = 48) -> np.ndarray:
    """A soft disc in the middle."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return (255 / (1 + np.exp(np.hypot(x, y) - radius))).astype(np.float32)[np.newaxis, :, :, np.newaxis]


def dot(side: int = 64) -> np.ndarray:
    """A small blob in the middle of four images."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.repeat(np.exp(-(x**2 + y**2) / 8).astype(np.float32)[np.newaxis, :, :, np.newaxis], 4, axis=0)


def centres(images: np.ndarray) -> np.ndarray:
    """Centre of mass (y, x) of each image."""
    weights = images[..., 0] / images.sum(axis=(1, 2))[:, :, np.newaxis]
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    return np.stack([(weights * y).sum(axis=(1, 2)), (weights * x).sum(axis=(1, 2))], axis=1)


@pytest.mark.parametrize("key", sorted(ALL))
def test_each_option_changes_images_while_training(key: str) -> None:
    assert np.abs(augmented(IMAGES, **{key: ALL[key]}) - IMAGES).max() > 1


@pytest.mark.parametrize("key", sorted(ALL))
def test_no_option_changes_images_otherwise(key: str) -> None:
    assert np.abs(augmented(IMAGES, training=False, **{key: ALL[key]}) - IMAGES).max() < 1e-3


def test_what_is_zero_is_left_out() -> None:
    assert len(standard(name="none")) == 0
    assert len(standard(name="one", brightness=0.1)) == 1


def test_a_seed_gives_the_same_images_again() -> None:
    assert (augmented(IMAGES, seed=1, **ALL) == augmented(IMAGES, seed=1, **ALL)).all()


def test_another_seed_gives_other_images() -> None:
    assert (augmented(IMAGES, seed=1, **ALL) != augmented(IMAGES, seed=2, **ALL)).any()


def test_every_call_draws_anew() -> None:
    layer = RandomAffine(rotation=0.1, seed=0)
    assert (applied((layer,), IMAGES) != applied((layer,), IMAGES)).any()


def test_each_image_of_a_batch_is_changed_in_its_own_way() -> None:
    same = np.repeat(IMAGES[:1], 2, axis=0)
    first, second = affine(same, rotation=0.1)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("flip", "mirrors"),
    [
        ("horizontal", [lambda a: a, np.fliplr]),
        ("vertical", [lambda a: a, np.flipud]),
        ("horizontal_and_vertical", [lambda a: a, np.fliplr, np.flipud, lambda a: np.flipud(np.fliplr(a))]),
    ],
)
def test_a_flip_is_exactly_one_of_the_mirror_images_and_all_occur(flip: str, mirrors: list[object]) -> None:
    image = IMAGES[0]
    flipped = augmented(np.repeat(image[np.newaxis], 40, axis=0), flip=flip)
    which = [[(result == mirror(image)).all() for mirror in mirrors].index(True) for result in flipped]
    assert set(which) == set(range(len(mirrors)))


def test_a_rotated_disc_is_nearly_the_same_disc() -> None:
    assert np.abs(affine(disc(12), rotation=0.5) - disc(12)).max() < 6


def test_a_rotation_turns_about_the_centre() -> None:
    assert np.abs(centres(affine(dot(), rotation=0.5)) - 31.5).max() < 0.05


def test_a_rotation_turns_what_is_beside_the_centre_by_at_most_its_limit() -> None:
    images = np.roll(np.repeat(dot(), 16, axis=0), 16, axis=2)
    y, x = (centres(affine(images, rotation=0.1)) - 31.5).T
    angles = np.arctan2(y, x) / (2 * np.pi)
    assert np.hypot(x, y) == pytest.approx(np.full(64, 16.0), abs=0.3)
    assert np.abs(angles).max() <= 0.1 + 0.005
    assert angles.min() < -0.05
    assert angles.max() > 0.05


def test_a_translation_stays_within_its_bound_and_goes_both_ways() -> None:
    moved = centres(affine(np.repeat(dot(), 16, axis=0), translation=0.1)) - 31.5
    assert np.abs(moved).max() <= 6.4 + 0.1
    assert (moved.min(axis=0) < -3).all()
    assert (moved.max(axis=0) > 3).all()


def test_a_zoom_stays_within_its_factors_and_goes_both_ways() -> None:
    areas = affine(np.repeat(disc(12), 64, axis=0), zoom=0.2).sum(axis=(1, 2, 3)) / disc(12).sum()
    scales = np.sqrt(areas)
    assert 1 / 1.2 - 0.02 <= scales.min() < 0.92
    assert 1.08 < scales.max() <= 1.2 + 0.02


def test_what_comes_in_from_outside_is_a_reflection() -> None:
    bright = np.full((8, 16, 16, 1), 200, np.float32)
    assert affine(bright, rotation=0.5, translation=0.3, zoom=0.3) == pytest.approx(bright, abs=1e-3)


def test_images_that_are_not_square_keep_their_shape() -> None:
    assert affine(np.zeros((2, 12, 20, 3), np.float32), rotation=0.1, translation=0.1).shape == (2, 12, 20, 3)


def test_brightness_and_contrast_stay_within_the_pixel_range() -> None:
    changed = augmented(IMAGES, brightness=0.5, contrast=0.9)
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_a_gamma_bends_the_greys_both_ways_within_its_limit_and_keeps_black_and_white() -> None:
    ramp = np.repeat(np.linspace(0, 255, 256, dtype=np.float32).reshape(1, 16, 16, 1), 200, axis=0)
    bent = augmented(ramp, gamma=0.5)
    assert bent[:, 0, 0] == pytest.approx(0, abs=0.03)
    assert bent[:, -1, -1] == pytest.approx(255, abs=0.03)
    exponents = np.log(bent[:, 8, 0, 0] / 255) / np.log(ramp[:, 8, 0, 0] / 255)
    assert 1 / 1.5 - 0.01 <= exponents.min() < 0.7
    assert 1.4 < exponents.max() <= 1.5 + 0.01
    assert np.median(exponents) == pytest.approx(1, abs=0.1)


def test_noise_has_the_standard_deviation_asked_for() -> None:
    grey = np.full((4, 64, 64, 1), 128, np.float32)
    assert augmented(grey, noise=0.1).std() == pytest.approx(25.5, rel=0.05)


def test_an_affine_layer_is_rebuilt_from_its_config() -> None:
    layer = RandomAffine(rotation=0.1, translation=0.2, zoom=0.3)
    config = RandomAffine.from_config(layer.get_config()).get_config()
    assert {key: config[key] for key in ("rotation", "translation", "zoom")} == {
        "rotation": 0.1,
        "translation": 0.2,
        "zoom": 0.3,
    }


def test_a_gamma_is_rebuilt_from_its_config() -> None:
    layer = RandomGamma(0.2, seed=3)
    again = RandomGamma.from_config(layer.get_config())
    assert (applied((again,), IMAGES) == applied((layer,), IMAGES)).all()


def test_an_affine_layer_keeps_its_seed_in_its_config() -> None:
    layer = RandomAffine(rotation=0.1, seed=3)
    again = RandomAffine.from_config(layer.get_config())
    assert (applied((again,), IMAGES) == affine(IMAGES, rotation=0.1, seed=3)).all()


def test_images_that_are_not_moved_keep_their_pixels_exactly() -> None:
    same = np.repeat(IMAGES[:1], 60, axis=0)
    results = applied((RandomAffine(share=0.5, rotation=0.1, translation=0.1, zoom=0.2, seed=1),), same)
    kept = (results == same).all(axis=(1, 2, 3))
    assert 15 < kept.sum() < 45


def test_contrast_goes_both_ways() -> None:
    ramp = np.repeat(np.linspace(100, 150, 24 * 24, dtype=np.float32).reshape(1, 24, 24, 1), 200, axis=0)
    factors = augmented(ramp, contrast=0.3).std(axis=(1, 2, 3)) / ramp.std(axis=(1, 2, 3))
    assert 0.7 - 0.01 <= factors.min() < 0.75
    assert 1.25 < factors.max() <= 1.3 + 0.01


def test_a_shear_leans_a_line_by_at_most_its_limit_and_goes_both_ways() -> None:
    line = np.zeros((64, 33, 33, 1), np.float32)
    line[:, :, 15:18] = 255
    sheared = affine(line, shear=0.3)[..., 0]
    x = np.arange(33)
    top, bottom = ((sheared[:, rows] * x).sum(axis=(1, 2)) / sheared[:, rows].sum(axis=(1, 2)) for rows in ([6], [26]))
    slopes = (top - bottom) / 20
    assert np.abs(slopes).max() <= 0.3 + 0.01
    assert slopes.min() < -0.15
    assert slopes.max() > 0.15


def test_an_elastic_deformation_moves_parts_of_an_image_in_different_ways() -> None:
    spots = np.zeros((16, 64, 64, 1), np.float32)
    spots[:, [14, 15, 16, 17], 14:18] = spots[:, [46, 47, 48, 49], 46:50] = 255
    bent = affine(spots, elastic=0.08)
    corners = [centres(bent[:, :32, :32]) - 15.5, centres(bent[:, 32:, 32:]) - 15.5]
    assert np.abs(corners).max() < 0.08 * 64
    assert np.abs(corners[0] - corners[1]).max() > 1


def test_an_elastic_deformation_is_smooth_and_does_not_fold() -> None:
    ramp = np.repeat(np.arange(64, dtype=np.float32)[np.newaxis, np.newaxis, :, np.newaxis], 64, axis=1)
    bent = affine(np.repeat(ramp, 8, axis=0), elastic=0.119)[:, 8:-8, 8:-8, 0]
    assert np.diff(bent, axis=2).min() > 0
    assert np.abs(np.diff(bent, n=2, axis=2)).max() < 0.5


def test_an_elastic_deformation_that_could_fold_an_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"can fold.*Received: elastic=0\.2.*augmentation\.elastic=0\.03"):
        standard(name="p", elastic=0.2)


def test_both_ways_of_reading_between_pixels_agree() -> None:
    smooth = np.repeat(disc(12), 8, axis=0)
    limits = {"rotation": 0.1, "translation": 0.1, "zoom": 0.2, "shear": 0.2}
    plain, gathered = RandomAffine(seed=0, **limits), RandomAffine(seed=0, **limits)
    gathered.compiled = True
    assert applied((gathered,), smooth) == pytest.approx(applied((plain,), smooth), abs=0.05)


def test_images_that_are_not_bent_keep_their_pixels_exactly() -> None:
    same = np.repeat(IMAGES[:1], 60, axis=0)
    results = applied((RandomAffine(share=0.5, elastic=0.05, seed=1),), same)
    kept = (results == same).all(axis=(1, 2, 3))
    assert 15 < kept.sum() < 45


def test_two_ways_of_mixing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.mixup=0 or augmentation\.cutmix=0"):
        standard(name="p", mixup=0.2, cutmix=1.0)


def chosen(*, picks: int, images: int = 300) -> np.ndarray:
    """How many of three operations, which add 1, 10 and 100, each image got."""
    adds = [keras.layers.Rescaling(1.0, offset=value) for value in (1.0, 10.0, 100.0)]
    layer = RandomChoice(adds, picks=picks, seed=0)
    return applied((layer,), np.zeros((images, 2, 2, 1), np.float32))[:, 0, 0, 0]


def test_each_image_gets_as_many_operations_as_asked_for_all_different() -> None:
    assert set(chosen(picks=1)) == {1, 10, 100}
    assert set(chosen(picks=2)) == {11, 101, 110}
    assert set(chosen(picks=3)) == {111}


def test_operations_are_equally_likely() -> None:
    _, counts = np.unique(chosen(picks=1, images=900), return_counts=True)
    assert counts.min() > 240


def test_grey_images_are_not_offered_operations_on_colour() -> None:
    for channels, same in ((1, False), (3, True)):
        (layer,) = randaugment(name="p", operations=["colour", "brightness"], picks=1, magnitude=1.0)
        grey = np.repeat(IMAGES[:1] * 0 + 100, 60, axis=0).repeat(channels, axis=3)
        unchanged = (np.abs(applied((layer,), grey) - grey).max(axis=(1, 2, 3)) < 0.01).any()
        assert unchanged == same, "taking colour away leaves grey as it is: a wasted pick"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0.3, 1.0])
def test_each_operation_changes_images_within_their_range(operation: str, magnitude: float) -> None:
    (layer,) = randaugment(name="p", operations=[operation], picks=1, magnitude=magnitude)
    colour = np.random.default_rng(0).uniform(20, 200, (8, 24, 24, 3)).astype(np.float32)
    found = applied((layer,), colour)
    assert np.abs(found - colour).max() > 0.5
    assert found.min() >= -1e-3
    assert found.max() <= 255 + 1e-3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operations": ["rotate"]}, r"Unknown operation\. Received: 'rotate'"),
        ({"magnitude": 0.0}, r"augmentation\.magnitude.*Received: 0\.0"),
        ({"picks": 0}, r"augmentation\.picks: should be from 1 to 6.*Received: 0"),
        ({"operations": []}, r"augmentation\.operations: should name at least one"),
    ],
)
def test_an_impossible_choice_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        randaugment(name="p", **wrong)  # type: ignore[arg-type]
