"""The folder that MLflow stores: a stock `mlflow.keras` model, and the bundle inside it."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

BUNDLE_FOLDER = "bundle"


def write_flavor(model: keras.Model, bundle: Path, path: Path) -> None:
    """Write into the new folder `path` what `mlflow.keras.load_model` and `mlflow.pyfunc.load_model` read.

    The signature and the requirements are stated: inferring them would start TensorFlow a second time.
    """
    import mlflow.keras
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    kind = np.dtype("float32")
    signature = ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, *model.input_shape[1:]), "image")]),
        outputs=Schema([TensorSpec(kind, (-1, model.output_shape[-1]))]),
    )
    requirements = [f"{name}=={version(name)}" for name in ("keras", "tensorflow", "numpy")]
    mlflow.keras.save_model(model, str(path), signature=signature, pip_requirements=requirements)
    shutil.copytree(bundle, path / BUNDLE_FOLDER)
