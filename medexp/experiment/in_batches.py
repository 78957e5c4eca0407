"""Predict arrays: Keras' own `predict` makes a tf.data pipeline of them, which costs more than small networks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np


def in_batches(model: keras.Model, inputs: np.ndarray, *, size: int = 64) -> np.ndarray:
    """Return what `model` makes of `inputs` (n, ...), `size` at a time."""
    import numpy as np

    parts = [model.predict_on_batch(inputs[start : start + size]) for start in range(0, len(inputs), size)]
    return np.concatenate([np.asarray(part) for part in parts])
