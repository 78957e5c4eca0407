"""Open a graph with the runtime of its kind."""

from __future__ import annotations

from pathlib import Path

from medexp.errors import RegistryError, unknown
from medexp.registry.engine.base import Engine
from medexp.registry.engine.litert import LiteRtEngine
from medexp.registry.engine.onnx import OnnxEngine
from medexp.registry.engine.openvino import OpenVinoEngine
from medexp.registry.engine.saved_model import SavedModelEngine

KINDS: dict[str, type[Engine]] = {
    engine.kind: engine for engine in (LiteRtEngine, OpenVinoEngine, OnnxEngine, SavedModelEngine)
}


def open_engine(kind: str, path: Path, *, threads: int = 0) -> Engine:
    """Return the graph in `path`, ready to be called.

    Args:
        kind: `litert`, `openvino`, `onnx` or `saved_model`.
        path: its file, or folder.
        threads: that compute one answer; 0: the engine decides.

    Raises:
        RegistryError: no such kind, or the graph cannot be run.
        MissingRuntimeError: the runtime is not installed; one of RegistryError.
    """
    if kind not in KINDS:
        raise RegistryError(unknown("engine", kind, KINDS))
    return KINDS[kind](path, threads=threads)
