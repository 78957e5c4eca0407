"""One graph for every engine: traced once, written once as a SavedModel, converted from there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import keras
import numpy as np

from medexp.errors import ConfigError, RegistryError
from medexp.registry.engine.base import IMAGE

FILES = {"litert": "model.tflite", "openvino": "model.xml", "onnx": "model.onnx", "saved_model": "saved_model"}
_OPSET = 18


class Graphs:
    """Writes the graph of a model in the forms that engines run. A context: it keeps a SavedModel while it lasts.

    Args:
        serving: from float images (batch, height, width, channels) to a dictionary of outputs; stock layers.

    Raises:
        ConfigError: Keras runs on another backend than TensorFlow, whose graphs these are.
    """

    def __init__(self, serving: keras.Model) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ConfigError(
                f"Graphs are exported by TensorFlow. Received: backend={keras.backend.backend()}. "
                "Override: runtime.backend=tensorflow"
            )
        import tensorflow as tf

        signature = tf.TensorSpec((None, *serving.input_shape[1:]), tf.float32, name=IMAGE)
        self._signature = [signature]
        self._serving = serving
        self._traced = self._function().get_concrete_function()
        self._variables = [variable.value for variable in serving.variables]
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        import tensorflow as tf

        self._temporary = tempfile.TemporaryDirectory(prefix="medexp-export-")
        module = tf.Module()
        module.variables_ = self._variables  # a signature does not keep its variables
        tf.saved_model.save(module, str(self._saved), signatures={"serving_default": self._traced})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def _saved(self) -> Path:
        assert self._temporary is not None
        return Path(self._temporary.name) / "saved_model"

    def write(self, kind: str, folder: Path) -> Path:
        """Write the graph for the engine `kind` into `folder`; return its file, or folder.

        Raises:
            RegistryError: the converter cannot.
        """
        path = folder / FILES[kind]
        try:
            getattr(self, f"_write_{kind}")(path)
        except Exception as error:  # converters' errors have no base class
            reason = " ".join(str(error).split())[:300]
            raise RegistryError(f"the converter failed: {type(error).__name__}: {reason}") from error
        return path

    def _write_saved_model(self, path: Path) -> None:
        shutil.copytree(self._saved, path)
        (path / "fingerprint.pb").unlink(missing_ok=True)

    def _write_litert(self, path: Path) -> None:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(str(self._saved))
        path.write_bytes(converter.convert())  # built-in operations alone: no TensorFlow where it is served

    def _write_openvino(self, path: Path) -> None:
        import openvino

        # Not convert_model: it takes 20 times as long, and has telemetry.
        openvino.save_model(openvino.Core().read_model(str(self._saved)), str(path), compress_to_fp16=False)

    def _write_onnx(self, path: Path) -> None:
        import onnx
        import tensorflow as tf
        import tf2onnx

        function = self._function()
        eagerly = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)  # Keras has XLA compile a grouped convolution; tf2onnx knows no such call
        try:
            traced = function.get_concrete_function()
        finally:
            tf.config.run_functions_eagerly(eagerly)
        model, _ = tf2onnx.convert.from_function(function, input_signature=self._signature, opset=_OPSET)
        _close(model, traced)
        _without_erfc(model)
        onnx.save(model, str(path))

    def _function(self) -> Any:
        """Return a function of the model that is not traced yet."""
        import tensorflow as tf

        return tf.function(
            lambda image: self._serving(image, training=False),
            input_signature=self._signature,
            jit_compile=False,
            autograph=False,
        )


def _close(model: Any, traced: Any) -> None:
    """Make constants of what tf2onnx leaves as inputs: tensors that the function has captured and that are no variable,
    such as the mean of a Normalization layer.
    """
    from onnx import numpy_helper

    captured = {inner.name: outer for outer, inner in traced.graph.captures}
    needed = {name for node in model.graph.node for name in node.input}
    for left in [one for one in model.graph.input if one.name != IMAGE]:
        if left.name in needed:
            model.graph.initializer.append(numpy_helper.from_array(captured[left.name].numpy(), left.name))
        model.graph.input.remove(left)


def _without_erfc(model: Any) -> None:
    """Replace Erfc, of TensorFlow's exact GELU, which tf2onnx hands on though ONNX has none: erfc(x) = 1 - erf(x)."""
    from onnx import helper, numpy_helper

    nodes, found = [], False
    for node in model.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        found = True
        nodes.append(helper.make_node("Erf", [node.input[0]], [f"{node.output[0]}/erf"], name=f"{node.name}/erf"))
        nodes.append(helper.make_node("Sub", ["erfc/one", f"{node.output[0]}/erf"], [node.output[0]], name=node.name))
    if found:
        model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "erfc/one"))
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def size_of(path: Path) -> int:
    """Return the bytes of a graph: a file with what lies beside it by the same name, or a folder."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    kept = {".xml": (".xml", ".bin")}.get(path.suffix, (path.suffix,))
    return sum(f.stat().st_size for f in files if f.is_file() and (path.is_dir() or f.suffix in kept))


def remove(path: Path) -> None:
    """Remove a graph that is not shipped."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
        if path.suffix == ".xml":
            path.with_suffix(".bin").unlink(missing_ok=True)
