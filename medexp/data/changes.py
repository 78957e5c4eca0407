"""What a layer changes in an image, among the facts that a data set may declare."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from medexp.errors import ConfigError, unknown
from medexp.types import Invariances

Fact = Literal["laterality", "orientation", "intensity", "colour"]
FACTS = tuple(field.name for field in fields(Invariances))
UPRIGHT = 30.0  # degrees that an image may lean and still stand upright


@dataclass(frozen=True)
class Change:
    """One thing that a layer does.

    Args:
        fact: which declared invariance it breaks.
        what: it does, for people.
        override: what switches it off, such as `augmentation.flip=null`; None if nothing does alone.
    """

    fact: Fact
    what: str
    override: str | None = None


# Of Keras' own layers. Zero-mean noise shifts no measurement. A brightness or contrast that is the same for all
# channels keeps the hue; what works on each channel by itself, or cuts, does not. A cut-out pasted from another image
# holds measured values; a blend of two images holds values that no tissue has.
_STOCK: dict[str, tuple[Fact, ...]] = {
    "GaussianNoise": (),
    "Rescaling": (),
    "CutMix": (),
    "RandomTranslation": (),
    "RandomZoom": (),
    "RandomCrop": (),
    "RandomElasticTransform": (),
    "CenterCrop": (),
    "MixUp": ("intensity", "colour"),
    "RandomBrightness": ("intensity",),
    "RandomContrast": ("intensity",),
    "RandomErasing": ("intensity",),
    "RandomSharpness": ("intensity",),
    "RandomGaussianBlur": ("intensity",),
    "AutoContrast": ("intensity", "colour"),
    "CLAHE": ("intensity", "colour"),
    "Equalization": ("intensity", "colour"),
    "RandomPosterization": ("intensity", "colour"),
    "Solarization": ("intensity", "colour"),
    "RandomInvert": ("intensity", "colour"),
    "RandomColorJitter": ("intensity", "colour"),
    "RandomColorDegeneration": ("intensity", "colour"),
    "RandomGrayscale": ("intensity", "colour"),
    "RandomHue": ("intensity", "colour"),
    "RandomSaturation": ("intensity", "colour"),
    "AugMix": ("orientation", "intensity", "colour"),
    "RandAugment": ("orientation", "intensity", "colour"),
}
_WORDS = {
    "RandomBrightness": "it changes the brightness",
    "RandomContrast": "it changes the contrast",
    "RandomSharpness": "it blurs and sharpens",
    "RandomPosterization": "it takes levels away",
    "AutoContrast": "it stretches each channel over the whole range",
    "RandomColorDegeneration": "it takes colour away",
    "MixUp": "a blend of two images holds values that neither had",
}


def changes_of(layer: Any) -> tuple[Change, ...] | None:
    """Return what `layer` changes; None if nobody says.

    A layer says it by an attribute `changes`: names of facts, or `Change`s. Keras' own are known.

    Raises:
        ConfigError: `changes` names a fact that there is not.
    """
    declared = getattr(layer, "changes", None)
    if declared is not None:
        return tuple(change if isinstance(change, Change) else _named(change, layer) for change in declared)
    if not type(layer).__module__.startswith("keras."):
        return None
    kind, override = type(layer).__name__, getattr(layer, "override", None)
    if kind == "RandomFlip":
        return _of_flip(layer.mode, override)
    if kind == "RandomRotation":
        degrees = 360 * max(abs(limit) for limit in layer.factor)
        return _of_rotation(degrees, override)
    if kind in ("RandomShear", "RandomPerspective"):
        return (Change("orientation", "it may tilt an image", override),)
    if kind not in _STOCK:
        return None
    what = _WORDS.get(kind, f"keras.layers.{kind} does")
    return tuple(Change(fact, what, override) for fact in _STOCK[kind])


def _of_flip(mode: str, override: str | None) -> tuple[Change, ...]:
    mirror = Change("laterality", f"a {mode.replace('_', ' ')} flip is a mirror image", override)
    if mode == "horizontal":
        return (mirror,)
    return (mirror, Change("orientation", "a vertical flip turns an image upside down", override))


def _of_rotation(degrees: float, override: str | None) -> tuple[Change, ...]:
    if degrees <= UPRIGHT:
        return ()
    what = f"it rotates by up to {degrees:.0f} degrees; {UPRIGHT:.0f} are allowed"
    return (Change("orientation", what, override),)


def _named(fact: Any, layer: Any) -> Change:
    if fact not in FACTS:
        raise ConfigError(f"Layer {layer.name}, attribute changes: {unknown('fact', fact, FACTS)}")
    return Change(fact, f"layer {layer.name} declares it")
