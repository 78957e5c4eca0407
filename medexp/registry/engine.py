"""Run an exported graph without TensorFlow or Keras."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from medexp.errors import RegistryError
from medexp.imaging.scale import scale


class LiteRtEngine:
    """An exported LiteRT graph: one float input (batch, height, width, channels), one probability per class.

    Safe to call from several threads: calls take turns, an interpreter holds one set of tensors.

    Raises:
        RegistryError: the file is not a graph that LiteRT can run with its built-in operations.
    """

    kind = "litert"

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(str(path), num_threads=threads or None)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RegistryError(f"LiteRT cannot run this graph. Received: {path} ({error}).") from error
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._lock = threading.Lock()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return class probabilities, `float32`, shape (batch, classes), for prepared pixels (batch, h, w, c)."""
        with self._lock:
            if tuple(self._input["shape"]) != batch.shape:
                self._interpreter.resize_tensor_input(self._input["index"], batch.shape)
                self._interpreter.allocate_tensors()
                (self._input,) = self._interpreter.get_input_details()
            self._interpreter.set_tensor(self._input["index"], scale(batch).astype(np.float32))
            self._interpreter.invoke()
            return np.array(self._interpreter.get_tensor(self._output["index"]))
