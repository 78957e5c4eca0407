"""Write the bundle of a trained network, and check that its exported graph says what Keras says."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from medexp.errors import RegistryError
from medexp.imaging.scale import scale
from medexp.logs import native_stderr_to
from medexp.registry.bundle import FORMAT, Bundle, Passport, sha256, write_passport
from medexp.registry.engine import LiteRtEngine
from medexp.types import DataSpec

logger = logging.getLogger(__name__)
TOLERANCE = 1e-5  # largest difference in probability between Keras and the exported graph
KERAS_FILE, GRAPH_FILE = "model.keras", "model.tflite"


def export_bundle(
    model: keras.Model,
    path: Path,
    *,
    run_id: str,
    name: str,
    data: DataSpec,
    thresholds: Mapping[str, float],
    metrics: Mapping[str, float],
    check_on: np.ndarray,
    native_log: Path,
) -> Bundle:
    """Write `model.keras`, `model.tflite` and `passport.json` into the new folder `path`.

    Args:
        model: from float images (batch, height, width, channels), 0 to 255, to what `class_probabilities`
            gives.
        path: of the bundle.
        run_id: that the model comes from.
        name: of the network.
        data: what it was trained on.
        thresholds: by class name, what `Passport` says of them.
        metrics: measured on this model, for people.
        check_on: images that Keras and the graph must agree on, `data.input.dtype`, shape (n, *data.input.shape),
            n > 1.
        native_log: receives what the converter prints.

    Raises:
        RegistryError: the exported graph cannot run on built-in operations, or differs from Keras.
    """
    path.mkdir(parents=True)
    model.save(path / KERAS_FILE)
    with native_stderr_to(native_log):
        try:
            model.export(str(path / GRAPH_FILE), format="litert", verbose=False)
        except Exception as error:  # the converter's errors have no base class
            raise RegistryError(
                f"The network cannot be exported to LiteRT ({type(error).__name__}: {str(error)[:300]}). "
                f"Received: model={name}. Replace the layer that it names."
            ) from error
        difference = _difference(model, LiteRtEngine(path / GRAPH_FILE), check_on)
    if not difference <= TOLERANCE:
        raise RegistryError(
            f"The exported graph does not say what Keras says. Received: probabilities differ by up to "
            f"{difference:.2g}, allowed is {TOLERANCE:g}. "
            "The results of the run are recorded, its model cannot be served: try another model=..., and report this"
        )
    logger.info("exported graph agrees with Keras: probabilities differ by at most %.1g", difference)
    write_passport(
        path,
        Passport(
            format=FORMAT,
            run_id=run_id,
            model=name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            task=data.task,
            class_names=data.class_names,
            positive=data.positive,
            thresholds=dict(thresholds),
            input=data.input,
            preprocessing=data.input.digest,
            metrics=dict(metrics),
            data={key: value for key, value in asdict(data).items() if key in _DATA_FACTS},
            engine={"kind": LiteRtEngine.kind, "file": GRAPH_FILE, "difference": difference},
            versions={package: version(package) for package in ("medexp", "keras", "ai-edge-litert")},
            files={file: sha256(path / file) for file in (KERAS_FILE, GRAPH_FILE)},
        ),
    )
    return Bundle.open(path)


_DATA_FACTS = ("name", "digest", "split", "source", "counts", "synthetic")


def _difference(model: keras.Model, engine: LiteRtEngine, images: np.ndarray) -> float:
    """Largest difference in probability, over a batch and over single images."""
    images = scale(images)
    with keras.device("cpu:0"):  # a GPU computes convolutions with ten bits of mantissa (TF32)
        wanted = keras.ops.convert_to_numpy(model(images.astype(np.float32), training=False))
    single = np.concatenate([engine(image[np.newaxis]) for image in images])
    return float(max(np.abs(engine(images) - wanted).max(), np.abs(single - wanted).max()))
