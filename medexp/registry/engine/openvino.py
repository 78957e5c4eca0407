"""OpenVINO, of Intel: often the fastest on its processors."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from medexp.registry.engine.base import Outputs, as_input, as_outputs, broken, missing, require_names


class OpenVinoEngine:
    """Runs an OpenVINO graph (`.xml`, with its `.bin` beside it). Calls take turns: a request holds one set of tensors.

    Raises:
        RegistryError: the file is not a graph that OpenVINO can run, or has other outputs.
        MissingRuntimeError: openvino is not installed.
    """

    kind = "openvino"

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        try:
            from openvino import Core
        except ImportError:
            raise missing(self.kind, "openvino") from None
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # some processors would be given bfloat16, and other probabilities
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = Core().compile_model(str(path), "CPU", settings)
        except (RuntimeError, ValueError) as error:
            raise broken("OpenVINO", path, error) from error
        self._names = {name: i for i, output in enumerate(compiled.outputs) for name in output.get_names()}
        inputs = {name for one in compiled.inputs for name in one.get_names()}
        require_names(self.kind, path, inputs=inputs, outputs=set(self._names))
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, batch: np.ndarray) -> Outputs:
        """Return what the graph says of prepared pixels (batch, height, width, channels)."""
        image = as_input(batch)
        with self._lock:
            self._request.infer({0: image}, share_inputs=True)
            tensors = {name: self._request.get_output_tensor(i).data for name, i in self._names.items()}
            return as_outputs({name: np.array(tensor, np.float32) for name, tensor in tensors.items()})
