"""The model that is fitted: augmentation, then the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

IMAGE, TARGET, PROBABILITIES = "image", "target", "probabilities"


class AugmentedModel(keras.Model):
    """A network whose training images, and targets where they are mixed, are augmented in the graph.

    Keras has no training step that all backends share, so targets come in as an input: in training a batch is
    {"image", "target"} (`WithTargets`), augmented always, and the answer {"probabilities", "target"}, with the targets
    that the loss is about. Images alone, as in validation, pass the network only.

    Metrics of training are about the augmented image and the target that weighs more in it: a mixed target of 0.7 is
    1 to them, as accuracy and AUC know only 0 and 1.

    Args:
        network: its weights are the model's.
        augmentation: layers from float images (batch, height, width, channels), 0 to 255, to the same;
            `keras.layers.MixUp` and `CutMix` mix targets too.
        compiled: whether XLA compiles the training step.
    """

    def __init__(
        self, network: keras.Model, augmentation: Sequence[keras.layers.Layer], *, compiled: bool = False
    ) -> None:
        super().__init__(name=f"augmented_{network.name}")
        self.network = network
        self.augmentation = list(augmentation)
        for layer in self.augmentation:
            if hasattr(layer, "compiled"):
                layer.compiled = compiled

    def build(self, input_shape: Any) -> None:
        """Nothing to do: the network is built, and augmentation has no weights."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return probabilities of images, or {"probabilities", "target"} of a training batch."""
        if not isinstance(inputs, dict):
            return self.network(inputs, training=training)
        image, target = augment(self.augmentation, inputs[IMAGE], inputs[TARGET])
        return {PROBABILITIES: self.network(image, training=training), TARGET: target}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The compiled loss, against the mixed targets while training."""
        if isinstance(y_pred, dict):
            y, y_pred = y_pred[TARGET], y_pred[PROBABILITIES]
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The compiled metrics, against the heavier of two mixed targets while training."""
        if isinstance(y_pred, dict):
            y, y_pred = ops.cast(y_pred[TARGET] > 0.5, "float32"), y_pred[PROBABILITIES]
        return super().compute_metrics(x, y, y_pred, sample_weight)


class WithTargets(keras.utils.PyDataset):
    """Batches of (images, targets) as ({"image", "target"}, targets)."""

    def __init__(self, batches: keras.utils.PyDataset) -> None:
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any]:
        images, targets = self._batches[index]
        return {IMAGE: images, TARGET: targets}, targets

    def on_epoch_begin(self) -> None:
        """Hand it on."""
        self._batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Hand it on."""
        self._batches.on_epoch_end()


def augment(layers: Sequence[keras.layers.Layer], images: Any, targets: Any) -> tuple[Any, Any]:
    """Apply training's augmentation.

    Args:
        layers: in this order.
        images: any number type, 0 to 255, shape (batch, height, width, channels).
        targets: `float32`, shape (batch, outputs): binary, one-hot, several of many, or cumulative.

    Returns:
        Images as `float32`, and targets, of the same shapes.
    """
    images = ops.cast(images, "float32")
    for layer in layers:
        if isinstance(layer, keras.layers.MixUp | keras.layers.CutMix):
            mixed = layer({"images": images, "labels": targets}, training=True)
            images, targets = mixed["images"], mixed["labels"]
        else:
            images = layer(images, training=True)
    return images, targets
