"""Some of many layers, chosen anew for each image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras
from keras import ops

from medexp.data.changes import Change, Fact, changes_of


class RandomChoice(keras.layers.Layer):
    """Applies `picks` of `operations` to each image, in training only, after RandAugment (Cubuk et al., 2020).

    Each image gets its own operations, all different, in the order of the list. Keras' RandAugment draws them for a
    whole batch at a time, rotates by up to half a turn, takes Equalization's histogram over the whole batch, and
    computes all operations once for each pick; its Solarization cannot be kept from inverting the whole image.

    Args:
        operations: layers from images to images, 0 to 255, which take `training`.
        picks: how many an image gets.
        seed: of the random numbers; None takes the next from Keras' global seed.
    """

    def __init__(
        self, operations: Sequence[keras.layers.Layer], *, picks: int, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.operations = list(operations)
        self.picks = picks
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def compiled(self) -> bool:
        """Whether XLA compiles it."""
        return any(getattr(operation, "compiled", False) for operation in self.operations)

    @compiled.setter
    def compiled(self, value: bool) -> None:
        for operation in self.operations:
            if hasattr(operation, "compiled"):
                operation.compiled = value

    @property
    def changes(self) -> tuple[Change, ...] | None:
        """What any of the operations may change; None if one does not say."""
        by_fact: dict[Fact, list[str]] = {}
        for operation in self.operations:
            changes = changes_of(operation)
            if changes is None:
                return None
            for change in changes:
                by_fact.setdefault(change.fact, []).append(operation.name)
        return tuple(Change(fact, f"operations {', '.join(n)} do", self._rest(n)) for fact, n in by_fact.items())

    def _rest(self, broken: Collection[str]) -> str | None:
        rest = [operation.name for operation in self.operations if operation.name not in broken]
        return f"augmentation.operations=[{','.join(rest)}]" if rest else None

    def without(self, facts: Collection[str]) -> RandomChoice | None:
        """The same layer without the operations that change one of `facts`; None if nothing is left."""
        kept = [o for o in self.operations if not {c.fact for c in changes_of(o) or ()} & set(facts)]
        return RandomChoice(kept, picks=self.picks, name=self.name, dtype=self.dtype_policy) if kept else None

    def build(self, input_shape: Any) -> None:
        """Build the operations."""
        for operation in self.operations:
            operation.build(input_shape)

    def call(self, images: Any, training: bool = False) -> Any:
        """Map images (batch, height, width, channels) to the same shape and type."""
        if not training:
            return images
        batch, *_, channels = ops.shape(images)
        usable = [o for o in self.operations if channels == 3 or not getattr(o, "colours_only", False)]
        lots = keras.random.uniform((batch, len(usable)), seed=self.seed_generator, dtype="float32")
        last = ops.sort(lots, axis=1)[:, min(self.picks, len(usable)) - 1]
        for place, operation in enumerate(usable):
            chosen = (lots[:, place] <= last)[:, None, None, None]
            images = ops.where(chosen, ops.cast(operation(images, training=True), images.dtype), images)
        return images

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape
