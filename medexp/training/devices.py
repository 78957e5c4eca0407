"""Train on several devices at once, each with its share of every batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medexp.errors import ConfigError

if TYPE_CHECKING:
    import keras

STREAM = 0x3C6EF35F  # between the random numbers of two devices
Wanted = int | Sequence[str] | None


def virtual_cpus(wanted: Wanted) -> int:
    """Return how many devices the processor has to be, so that the names "cpu:0", "cpu:1" ... in `wanted` exist."""
    names = [] if wanted is None or isinstance(wanted, int) else [_plain(name) for name in wanted]
    numbers = [name.removeprefix("cpu:") for name in names if name.startswith("cpu:")]
    return max((int(number) + 1 for number in numbers if number.isdigit()), default=1)


@dataclass(frozen=True)
class Devices:
    """The devices of a training: with TensorFlow a `MirroredStrategy`, with JAX `keras.distribution.DataParallel`.

    A training on several is the one that a single device would make of the same batches, up to rounding: the loss is
    the mean over the whole batch, batch normalisation takes its mean and variance over the whole batch, and gradients
    are clipped once they are added up. Augmentation and dropout draw other numbers on each device.

    Build, compile and fit within `scope()`; loss, optimizer and metrics are made in it, too.

    Args:
        names: as Keras has them, "gpu:0"; empty for the one that the backend takes by itself.
        strategy: TensorFlow's, or Keras' distribution; None for a single device.
    """

    names: tuple[str, ...] = ()
    strategy: Any = None

    @classmethod
    def of(cls, wanted: Wanted) -> Devices:
        """Return the devices of `trainer.devices`: None, how many accelerators, or their names.

        Raises:
            ConfigError: a device that does not exist, is named twice, or none at all.
        """
        import keras

        if wanted is None:
            return cls()
        found = _found()
        accelerators = [name for name in found if not name.startswith("cpu:")] or found
        names = tuple(accelerators[:wanted]) if isinstance(wanted, int) else tuple(_plain(name) for name in wanted)
        count = wanted if isinstance(wanted, int) else len(names)
        if count < 1 or len(names) < count or len(set(names)) < count or not set(names) <= set(found):
            raise ConfigError(
                f"trainer.devices: not {'so many' if isinstance(wanted, int) else 'these'} devices. Received: "
                f"{wanted if isinstance(wanted, int) else list(wanted)}. Found: {', '.join(found)}. Name some of them, "
                "or override: trainer.devices=null"
            )
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return cls(names, tf.distribute.MirroredStrategy([f"/{name}" for name in names]))
        return cls(names, keras.distribution.DataParallel(devices=list(names), auto_shard_dataset=False))

    @property
    def count(self) -> int:
        """How many share a batch."""
        return max(1, len(self.names))

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which a model is built, compiled and fitted."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def deal(self, batches: keras.utils.PyDataset, *, training: bool) -> Any:
        """Return batches that can be shared; see `Even`."""
        from medexp.training.even import Even

        return batches if self.count == 1 else Even(batches, self.count, training=training)

    def prepare(self, network: keras.Model, augmentation: Sequence[keras.layers.Layer]) -> None:
        """Let layers know of the other devices; within `scope`, before the model is compiled."""
        import keras

        if self.count == 1 or keras.backend.backend() != "tensorflow":  # elsewhere a batch is one array
            return
        for layer in (network, *augmentation):
            for inner in layer._flatten_layers():
                if isinstance(inner, keras.layers.BatchNormalization):
                    inner.synchronized = True
                for generator in inner._seed_generators:
                    _draw_apart(generator)

    def prepare_optimizer(self, optimizer: keras.Optimizer) -> None:
        """Clip the gradient of the whole batch, where Keras would clip that of each device.

        Raises:
            ConfigError: gradients are accumulated, which Keras cannot do on several devices.
        """
        import keras

        if self.count == 1 or keras.backend.backend() != "tensorflow":
            return
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if (steps := optimizer.gradient_accumulation_steps) is not None:
            raise ConfigError(
                "trainer.devices: Keras cannot accumulate gradients on several devices. Received: "
                f"optimizer.gradient_accumulation_steps={steps}. Override: optimizer.gradient_accumulation_steps=null"
            )
        _clip_the_sum(optimizer)


def _plain(name: str) -> str:
    """Return the name as Keras writes it: "gpu:0" of "/GPU:0"."""
    return str(name).lower().removeprefix("/").removeprefix("device:")


def _found() -> list[str]:
    """The names of all devices there are, accelerators first."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        names = [device.name for device in tf.config.list_logical_devices()]
        return sorted((_plain(name) for name in names), key=lambda name: name.startswith("cpu:"))
    return list(keras.distribution.list_devices())


def _draw_apart(generator: keras.random.SeedGenerator) -> None:
    """Give each device random numbers of its own; the first keeps those that it would have alone.

    Its state moves into the strategy, where each device has a copy: the layer may have been made outside.
    """
    import keras
    import tensorflow as tf

    old = generator.state
    value = keras.ops.convert_to_numpy(old)
    generator.state = keras.Variable(value, dtype=old.dtype, trainable=False, aggregation="none", name=old.name)
    draw: Callable[..., Any] = type(generator).next.__get__(generator)

    def draw_here(ordered: bool = True) -> Any:
        seed = draw(ordered)
        context = tf.distribute.get_replica_context()
        if context is None:
            return seed
        place = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + tf.stack([place * STREAM, tf.zeros_like(place)])

    generator.next = draw_here


def _clip_the_sum(optimizer: keras.Optimizer) -> None:
    """Add up the gradients of all devices before they are clipped; afterwards they are added up already."""
    clip, add_up = optimizer._clip_gradients, optimizer._all_reduce_sum_gradients

    def clip_the_sum(gradients: Sequence[Any]) -> Any:
        return clip([gradient for gradient, _ in add_up([(gradient, None) for gradient in gradients])])

    optimizer._clip_gradients = clip_the_sum
    optimizer._all_reduce_sum_gradients = list
