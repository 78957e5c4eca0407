"""Small bundles, really exported, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from medexp.decision.conformal import Conformal
from medexp.decision.feature_space import FeatureSpace
from medexp.decision.operating_point import OperatingPoint
from medexp.models.class_probabilities import class_probabilities
from medexp.models.serving import feature_extractor, serving_model
from medexp.models.simple_cnn import simple_cnn
from medexp.registry.bundle import Bundle
from medexp.registry.export import export_bundle
from medexp.registry.passport import PASSPORT, read_passport, write_passport
from medexp.types import Calibration, DataSpec, Estimate, InputSpec, Task

INPUT = InputSpec(16, 16, 1)
CLASSES: Mapping[Task, tuple[str, ...]] = {
    "binary": ("clear", "nodule"),
    "multiclass": ("a", "b", "c"),
    "multilabel": ("a", "b", "c"),
    "ordinal": ("none", "mild", "severe"),
}
THRESHOLDS: Mapping[Task, Mapping[str, float]] = {
    "binary": {"nodule": 0.5},
    "multiclass": {},
    "multilabel": {"a": 0.1, "b": 0.5, "c": 0.9},
    "ordinal": {},
}


def spec(task: Task = "binary", *, class_names: Sequence[str] | None = None, pixels: InputSpec = INPUT) -> DataSpec:
    """What a data module says of a small data set."""
    names = tuple(class_names or CLASSES[task])
    counts = {"train": dict.fromkeys(names, 1)}
    return DataSpec("phantom", task, names, pixels, counts, "d1", "test", split="s1", synthetic=True)


def noise(data: DataSpec, count: int = 6, *, seed: int = 0) -> np.ndarray:
    """Prepared images of noise."""
    top = 65536 if data.input.bits == 16 else 256
    return np.random.default_rng(seed).integers(0, top, (count, *data.input.shape), data.input.dtype)


def network(data: DataSpec, *, seed: int = 6, scale: float = 2.0) -> keras.Model:
    """A small network whose answers are neither sure nor all the same."""
    keras.utils.set_random_seed(seed)
    built = simple_cnn(data, filters=[8])
    last = built.get_layer("conditional" if data.task == "ordinal" else "probabilities")
    drawn = np.random.default_rng(seed)
    last.set_weights([drawn.normal(size=weights.shape, scale=scale) for weights in last.get_weights()])
    return built


def limits(data: DataSpec, limit: float = 0.05) -> Conformal:
    """Conformal limits, the same for every class."""
    every = dict.fromkeys(data.class_names, limit)
    return Conformal(0.9, every, every if data.task == "multilabel" else None)


def space_around(model: keras.Model, images: np.ndarray, *, false_refusal: float = 0.05) -> FeatureSpace:
    """The feature space of `images`, as a training fits it."""
    from medexp.evaluation.abstention.feature_space import fit_feature_space

    features = keras.ops.convert_to_numpy(feature_extractor(model)(images.astype(np.float32), training=False))
    return fit_feature_space(features[::2], features[1::2], false_refusal=false_refusal)


def export(path: Path, model: keras.Model, data: DataSpec, **changes: Any) -> Bundle:
    """Export `model` into the new folder `path`; `changes` are arguments of `export_bundle`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {
        "serving": serving_model(model, task=data.task),
        "run_id": "a" * 32,
        "name": "tiny",
        "data": data,
        "calibration": Calibration("none"),
        "operating_point": OperatingPoint("youden", THRESHOLDS[data.task]),
        "conformal": limits(data),
        "feature_space": space_around(model, noise(data, 200, seed=1)),
        "metrics": {"auc": Estimate(0.75, 0.7, 0.8), "broken": Estimate(float("nan"), float("nan"), float("nan"))},
        "facts": {"commit": "c0ffee", "dirty": False, "intended_use": None, "not_for": None},
        "engines": ("litert",),
        "check_on": noise(data),
        "golden": noise(data, 2),
        "native_log": path.parent / "export.log",
        **changes,
    }
    return export_bundle(class_probabilities(model, task=data.task), path, **arguments)


def export_tiny(path: Path, task: Task = "binary", *, seed: int = 6, **changes: Any) -> Bundle:
    """Export a small network of `task`."""
    data = spec(task)
    return export(path, network(data, seed=seed), data, **changes)


def with_thresholds(thresholds: Mapping[str, float]) -> OperatingPoint:
    """An operating point with these thresholds."""
    return OperatingPoint("youden", thresholds)


def reseal(folder: Path, **changes: Any) -> None:
    """Write the passport in `folder` again with other fields, as medexp would have written it."""
    write_passport(folder, replace(read_passport(folder), **changes))


def edit(folder: Path, **changes: object) -> None:
    """Change raw fields of the passport, and seal it: what a program of another version may have written."""
    from medexp.registry.passport import _digest

    raw = json.loads((folder / PASSPORT).read_text())
    raw.pop("sha256", None)
    raw |= changes
    (folder / PASSPORT).write_text(json.dumps({**raw, "sha256": _digest(raw)}))
