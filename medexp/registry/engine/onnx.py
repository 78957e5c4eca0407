"""ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medexp.registry.engine.base import IMAGE, Outputs, as_input, as_outputs, broken, missing, require_names


class OnnxEngine:
    """Runs an `.onnx` graph. A session may be called from several threads at once.

    Raises:
        RegistryError: the file is not a graph that ONNX Runtime can run, or has other outputs.
        MissingRuntimeError: onnxruntime is not installed.
    """

    kind = "onnx"

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise missing(self.kind, "onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no base class
            raise broken("ONNX Runtime", path, error) from error
        self._names = [output.name for output in self._session.get_outputs()]
        inputs = {one.name for one in self._session.get_inputs()}
        require_names(self.kind, path, inputs=inputs, outputs=set(self._names))

    def __call__(self, batch: np.ndarray) -> Outputs:
        """Return what the graph says of prepared pixels (batch, height, width, channels)."""
        found = self._session.run(self._names, {IMAGE: as_input(batch)})
        return as_outputs(dict(zip(self._names, found, strict=True)))
