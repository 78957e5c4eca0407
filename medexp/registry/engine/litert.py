"""LiteRT (formerly TensorFlow Lite): the smallest and quickest to start."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from medexp.registry.engine.base import IMAGE, Outputs, as_input, as_outputs, broken, missing, require_names
from medexp.registry.engine.cores import cores


class LiteRtEngine:
    """Runs a `.tflite` graph. Calls take turns: an interpreter holds one set of tensors.

    Raises:
        RegistryError: the file is not a graph that LiteRT can run with its built-in operations, or has other outputs.
        MissingRuntimeError: ai-edge-litert is not installed.
    """

    kind = "litert"

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise missing(self.kind, "ai-edge-litert") from None
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads or cores())
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise broken("LiteRT", path, error) from error
        names = self._interpreter.get_signature_list()["serving_default"]
        require_names(self.kind, path, inputs=set(names["inputs"]), outputs=set(names["outputs"]))
        self._lock = threading.Lock()

    def __call__(self, batch: np.ndarray) -> Outputs:
        """Return what the graph says of prepared pixels (batch, height, width, channels)."""
        image = as_input(batch)
        with self._lock:
            return as_outputs(self._run(**{IMAGE: image}))
