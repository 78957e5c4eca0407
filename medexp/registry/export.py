"""Write the bundle of a trained network, and find the fastest graph that says what Keras says."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from medexp.decision.conformal import Conformal
from medexp.decision.feature_space import FILE as SPACE_FILE
from medexp.decision.feature_space import FeatureSpace
from medexp.decision.operating_point import OperatingPoint
from medexp.errors import RegistryError
from medexp.imaging.read import read
from medexp.logs import native_stderr_to
from medexp.registry.agreement import compare, milliseconds
from medexp.registry.bundle import Bundle
from medexp.registry.checksum import checksums
from medexp.registry.engine.base import Engine, Outputs, as_input, as_outputs
from medexp.registry.engine.open import open_engine
from medexp.registry.engine.saved_model import SavedModelEngine
from medexp.registry.golden import Golden, draw_chart
from medexp.registry.graphs import FILES, Graphs, remove, size_of
from medexp.registry.passport import FORMAT, EngineRecord, Passport, Strangeness, write_passport
from medexp.types import Calibration, DataSpec, Estimate

logger = logging.getLogger(__name__)
KERAS_FILE = "model.keras"
_DATA_FACTS = ("name", "digest", "split", "source", "counts", "synthetic")
_PACKAGES = ("medexp", "keras", "tensorflow", "numpy", "pillow", "ai-edge-litert", "openvino", "onnxruntime", "tf2onnx")


def export_bundle(
    model: keras.Model,
    path: Path,
    *,
    serving: keras.Model,
    run_id: str,
    name: str,
    data: DataSpec,
    calibration: Calibration,
    operating_point: OperatingPoint,
    conformal: Conformal,
    feature_space: FeatureSpace,
    metrics: Mapping[str, Estimate],
    facts: Mapping[str, Any],
    engines: Sequence[str],
    check_on: np.ndarray,
    golden: np.ndarray,
    native_log: Path,
) -> Bundle:
    """Write `model.keras`, graphs, golden images, `feature_space.npz` and `passport.json` into the new folder `path`.

    Args:
        model: from float images (batch, height, width, channels), 0 to 255, to calibrated class probabilities; this is
            `model.keras`.
        path: of the bundle.
        serving: the same with the outputs of `models.serving_model`; all graphs are made of it.
        run_id: that the model comes from.
        name: of the network.
        data: what it was trained on.
        calibration: that is inside `model` and `serving`.
        operating_point: thresholds for their probabilities.
        conformal: limits of their probabilities.
        feature_space: of their features.
        metrics: on test, by name without the split.
        facts: what else the passport says: commit, intended use ...; None where nobody has said it.
        engines: kinds to try: `litert`, `openvino`, `onnx`, `saved_model`.
        check_on: images of validation that Keras and a graph must agree on, `data.input.dtype`, (n, *data.input.shape),
            n > 1.
        golden: images that travel with the bundle, like `check_on`.
        native_log: receives what converters print.

    Raises:
        RegistryError: no graph says what Keras says.
    """
    path.mkdir(parents=True)
    model.save(path / KERAS_FILE)
    feature_space.write(path / SPACE_FILE)
    chart = draw_chart(data.input)
    pixels = np.concatenate([golden, read(chart, data.input).pixels[np.newaxis]])
    said = _keras(serving, pixels)
    Golden(pixels, said.probabilities, said.features, chart).write(path)
    records = _export_all(serving, path, engines, check_on, data, operating_point.thresholds, native_log)
    if not any(record.agrees for record in records):
        tried = "; ".join(f"{record.kind}: {record.why_not}" for record in records)
        raise RegistryError(
            f"No exported graph says what Keras says. Received: model={name}, {tried}. The results of the run are "
            "recorded, its model cannot be served: try another model=..., and report this"
        )
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
            input=data.input,
            preprocessing=data.input.digest,
            calibration=calibration,
            operating_point=operating_point,
            conformal=conformal,
            strangeness=Strangeness(feature_space.threshold, feature_space.false_refusal),
            metrics=dict(metrics),
            data={key: value for key, value in asdict(data).items() if key in _DATA_FACTS},
            facts=dict(facts),
            engines=tuple(sorted(records, key=_place)),
            versions=_versions(),
            files=checksums(path),
        ),
    )
    bundle = Bundle.open(path)
    bundle.verify()
    return bundle


def _export_all(
    serving: keras.Model,
    path: Path,
    kinds: Sequence[str],
    images: np.ndarray,
    data: DataSpec,
    thresholds: Mapping[str, float],
    native_log: Path,
) -> list[EngineRecord]:
    """Export, check and time each kind; what does not agree is removed again."""
    wanted = _keras(serving, images)
    records: list[EngineRecord] = []
    usable: dict[str, Engine] = {}
    with native_stderr_to(native_log), Graphs(serving) as graphs:
        for kind in dict.fromkeys(kinds):
            record = EngineRecord(kind=kind, agrees=False, images=len(images))
            try:
                file = graphs.write(kind, path)
                engine = open_engine(kind, file)
                found = compare(engine, wanted, images, data=data, thresholds=thresholds)
            except RegistryError as error:
                record = replace(record, why_not=str(error))
            else:
                record = replace(
                    record,
                    agrees=found.why_not is None,
                    why_not=found.why_not,
                    difference=found.difference,
                    batch_difference=found.batch_difference,
                    flips=found.flips,
                )
            if record.agrees:
                usable[kind] = engine
                record = replace(record, file=file.name, size=size_of(file))
            else:
                remove(path / FILES[kind])
            records.append(record)
        times = milliseconds(usable, images[0])
    records = [replace(record, milliseconds=times.get(record.kind)) for record in records]
    for record in records:
        _report(record)
    return records


def _report(record: EngineRecord) -> None:
    if not record.agrees:
        logger.warning("%s is not used: %s", record.kind, record.why_not)
        return
    times = record.milliseconds or {}
    logger.info(
        "%s agrees with Keras: probabilities differ by at most %.1g; %.1f ms for one image, %.1f ms for eight",
        record.kind, record.difference, times["1"], times["8"],
    )  # fmt: skip


def _place(record: EngineRecord) -> tuple[bool, bool, float]:
    """Those that agree first, the fastest at one image before the others; last what starts in ten seconds."""
    needs_tensorflow = record.kind == SavedModelEngine.kind
    return not record.agrees, needs_tensorflow, record.milliseconds["1"] if record.milliseconds else float("inf")


def _keras(serving: keras.Model, images: np.ndarray) -> Outputs:
    with keras.device("cpu:0"):  # a GPU computes convolutions with ten bits of mantissa (TF32)
        found = serving(as_input(images), training=False)
        return as_outputs({name: keras.ops.convert_to_numpy(tensor) for name, tensor in found.items()})


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
