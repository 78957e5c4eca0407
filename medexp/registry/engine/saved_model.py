"""TensorFlow's SavedModel: for those who have TensorFlow anyway, such as TF Serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medexp.registry.engine.base import IMAGE, Outputs, as_input, as_outputs, broken, missing, require_names


class SavedModelEngine:
    """Runs a SavedModel folder. TensorFlow shares its threads among all models of a process: `threads` is not heard.

    Raises:
        RegistryError: the folder is no SavedModel that can be run, or has other outputs.
        MissingRuntimeError: TensorFlow is not installed.
    """

    kind = "saved_model"

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        try:
            import tensorflow as tf
        except ImportError:
            raise missing(self.kind, "tensorflow") from None
        try:
            with tf.device("CPU:0"):
                self._model = tf.saved_model.load(str(path))  # a function does not keep its variables alive
                self._run = self._model.signatures["serving_default"]
        except Exception as error:  # its errors have no base class
            raise broken("TensorFlow", path, error) from error
        inputs = set(self._run.structured_input_signature[1])
        require_names(self.kind, path, inputs=inputs, outputs=set(self._run.structured_outputs))
        self._tf = tf

    def __call__(self, batch: np.ndarray) -> Outputs:
        """Return what the graph says of prepared pixels (batch, height, width, channels)."""
        with self._tf.device("CPU:0"):
            found = self._run(**{IMAGE: self._tf.constant(as_input(batch))})
        return as_outputs({name: tensor.numpy() for name, tensor in found.items()})
