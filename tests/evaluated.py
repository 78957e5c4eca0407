"""Evidence of a small evaluation: real metrics of real predictions; intervals, pictures and sections by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medexp.decision.operating_point import Achieved, OperatingPoint
from medexp.evaluation import evidence as e
from medexp.evaluation.evidence_file import FOLDER
from medexp.evaluation.metrics import classification_metrics
from medexp.evaluation.predictions import Predictions
from medexp.types import Calibration, Estimate, Split, Task

NAMES: dict[Task, tuple[str, ...]] = {
    "binary": ("normal", "pneumonia"),
    "multiclass": ("basophil", "eosinophil", "erythro/blast"),
    "multilabel": ("edema", "mass", "nodule"),
    "ordinal": ("none", "mild", "severe"),
}
HISTORY = [
    {
        "loss": 0.7 / epoch,
        "auc": 1 - 0.3 / epoch,
        "val_loss": 0.6 / epoch + 0.02 * epoch,
        "val_auc": 0.95 - 0.01 * (epoch - 4) ** 2,
        "learning_rate": 0.001 / epoch,
        "epoch_seconds": 3.0,
    }
    for epoch in range(1, 8)
]
CONFIG: dict[str, Any] = {
    "name": "resnet18-pneumoniamnist-light",
    "seed": 3,
    "objective": {"metric": "val_auc", "mode": "max"},
    "tracking": {"uri": "postgresql://someone:pass-one@database/medexp"},
    "paths": {"outputs": "/somewhere/outputs"},
    "data": {
        "name": "pneumoniamnist",
        "batch_size": 64,
        "sampling": "balanced",
        "url": "https://someone:pass-two@files/images",
        "input": {"height": 28, "width": 28, "channels": 1, "fit": "letterbox", "intensity": "file", "bits": 8},
        "aug": "light",
    },
    "augmentation": {"name": "light"},
    "model": {"name": "resnet18", "weights": None, "dropout": 0.2},
    "loss": {"_target_": "medexp.models.losses.cross_entropy", "label_smoothing": 0.1, "class_weights": None},
    "optimizer": {"_target_": "keras.optimizers.AdamW", "learning_rate": 0.001},
    "schedule": {"_target_": "medexp.training.schedules.cosine", "warmup": "10%"},
    "finetuning": {"phases": {"all": {}}},
    "trainer": {"max_epochs": 7, "average_best": 3, "precision": "float32"},
}
ENVIRONMENT: dict[str, Any] = {
    "seed": 3,
    "git_commit": "0123456789abcdef",
    "git_dirty": False,
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
    "host": "a-host-name",
    "user": "a-user-name",
    "command": ["train.py", "data=pneumoniamnist", "tracking.uri=postgresql://someone:pass-three@database/medexp"],
    "machine": {"processor": "a processor", "device": "cpu", "cores": 2},
}
PASSPORT: dict[str, Any] = {
    "format": 3,
    "model": "resnet18",
    "preprocessing": "2becf86a114a6adf",
    "input": CONFIG["data"]["input"],
    "data": {"name": "pneumoniamnist", "digest": "aaaa", "counts": {"train": {"normal": 30, "pneumonia": 90}}},
    "engines": [
        {
            "kind": "litert",
            "agrees": True,
            "why_not": None,
            "images": 32,
            "difference": 1e-7,
            "batch_difference": 0.0,
            "flips": 0,
            "size": 1_200_000,
            "milliseconds": {"1": 4.2, "8": 20.5},
        },
        {"kind": "onnx", "agrees": False, "why_not": "two constants are left as inputs"},
    ],
    "files": {"model.keras": "ab" * 32},
}
AUDIT: dict[str, Any] = {
    "name": "pneumoniamnist",
    "refused": 0,
    "accepted": 2,
    "warnings": 0,
    "findings": [
        {
            "kind": "duplicates_across_splits",
            "severity": "refuse",
            "summary": "2 images stand in more than one split.",
            "instances": [{"id": "a~a", "accepted": "the official split"}, {"id": "b~b", "accepted": "likewise"}],
        }
    ],
    "checks": [{"name": "files", "result": "Clean: every file can be read.", "seconds": 0.1}],
}
SAID = {
    "intended_use": "radiologists, as a second reader of paediatric chest X-rays",
    "not_for": "adults",
    "population": "children of one to five years, one hospital",
    "dates": "the years 2010 to 2017",
    "reference_standard": "two readers, a third where they differ",
    "limitations": "one hospital",
    "ethics": "approved",
    "funding": "a grant",
    "conflicts": "none",
    "protocol": "with the maintainers",
    "registration": "none",
    "license": "for research only",
    "contact": "the maintainers",
}


def around(value: float, width: float = 0.03) -> Estimate:
    """A value with an interval."""
    return Estimate(float(value), max(0.0, float(value) - width), min(1.0, float(value) + width))


def predictions(task: Task = "binary", split: Split = "test", *, images: int = 90, seed: int = 0) -> Predictions:
    """Predictions that are mostly right."""
    rng = np.random.default_rng(seed)
    names = NAMES[task]
    keys = tuple(f"{split}/{i:04d}" for i in range(images))
    if task == "multilabel":
        labels = rng.integers(0, 2, (images, len(names)))
        scores = np.clip(0.5 + 0.25 * (2 * labels - 1) + rng.normal(0, 0.2, labels.shape), 0.01, 0.99)
        return Predictions(split, keys, labels, scores.astype(np.float32), names, task)
    labels = np.arange(images) % len(names)
    logits = rng.normal(0, 1, (images, len(names))) + 2 * np.eye(len(names))[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(split, keys, labels, scores.astype(np.float32), names, task)


def evaluated(folder: Path, task: Task = "binary", **changes: Any) -> e.Evidence:
    """Write the pictures of an evaluation below `folder`, and return its evidence; `changes` replace fields."""
    test, val = predictions(task), predictions(task, "val", seed=1)
    names = test.class_names
    at = {"binary": {names[1]: 0.4}, "multilabel": dict.fromkeys(names, 0.5)}.get(task, {})
    where = folder / FOLDER
    where.mkdir(parents=True, exist_ok=True)
    for name, grey in (("roc.png", 200), ("confusion.png", 100)):
        Image.new("L", (60, 40), grey).save(where / name)
    metrics = {p.split: _metrics(p, at) for p in (val, test)}
    metrics["test"] |= {f"sensitivity/{name.replace('/', '_')}": around(0.8 + 0.01 * i) for i, name in enumerate(names)}
    found = e.Evidence(
        run_id="0f" * 16,
        evaluation_id="0f" * 16,
        created="2026-01-02T03:04:05+00:00",
        task=task,
        class_names=names,
        data={
            "name": "pneumoniamnist",
            "digest": "aaaa",
            "split": "bbbb",
            "source": "pneumoniamnist.npz",
            "synthetic": False,
            "counts": {"train": dict.fromkeys(names, 500), "val": dict.fromkeys(names, 60), "test": _counts(test)},
            "images": {"train": 1000, "val": 120, "test": len(test.keys)},
        },
        trained_on="aaaa",
        resampling=e.Resampling(2000, 0.95, "group", 60),
        metrics=metrics,
        calibration=_calibration(),
        operating=_operating(names, at),
        subgroups=_subgroups(),
        robustness=_robustness(task),
        abstention=_abstention(names),
        saliency=_saliency(where),
        pictures={"ROC": "roc.png", "Confusion of classes": "confusion.png"},
    )
    return replace(found, **changes)


def sections(**changes: Any) -> dict[str, Any]:
    """What `write_report` takes beside evidence and folder."""
    everything: dict[str, Any] = {
        "config": CONFIG,
        "history": HISTORY,
        "audit": AUDIT,
        "card": SAID,
        "environment": ENVIRONMENT,
        "passport": PASSPORT,
    }
    return everything | changes


def nothing() -> dict[str, Any]:
    """What `write_report` takes where nothing is on record."""
    return {
        "config": {},
        "history": [],
        "audit": None,
        "card": dict.fromkeys(SAID),
        "environment": {},
        "passport": None,
    }


def _metrics(p: Predictions, at: Mapping[str, float]) -> dict[str, Estimate]:
    found = classification_metrics(p, thresholds=at)
    return {name.removeprefix(f"{p.split}_"): around(value) for name, value in found.items()}


def _counts(p: Predictions) -> dict[str, int]:
    if p.task == "multilabel":
        return {name: int(p.labels[:, i].sum()) for i, name in enumerate(p.class_names)}
    return {name: int((p.labels == i).sum()) for i, name in enumerate(p.class_names)}


def _calibration() -> e.CalibrationSection:
    bins = tuple(e.ReliabilityBin(30, x, around(x + 0.02)) for x in (0.2, 0.5, 0.8))
    before = e.Reliability(around(0.08), Estimate(0.7, 0.6, 0.8), around(0.1), around(0.15), around(0.5), bins)
    after = e.Reliability(around(0.03), Estimate(0.98, 0.9, 1.1), around(0.01), around(0.12), around(0.4), bins)
    return e.CalibrationSection(Calibration("temperature", scale=(0.71,)), before, after)


def _operating(names: tuple[str, ...], at: Mapping[str, float]) -> e.OperatingSection:
    achieved = {name: Achieved(around(0.96), around(0.83)) for name in at}
    chosen = OperatingPoint("sensitivity>=0.95" if at else "most_probable", at, achieved)
    test = {"sensitivity": around(0.94), "specificity": around(0.8), "ppv": around(0.7), "npv": around(0.97)}
    curve = {names[-1]: tuple(e.NetBenefit(t / 50, 0.5 - t / 100, 0.5 - t / 50) for t in range(1, 50))}
    return e.OperatingSection(chosen, test, {names[-1]: e.PredictiveValues(0.02, around(0.1), around(0.99))}, curve)


def _subgroups() -> e.SubgroupSection:
    girls = e.Subgroup("sex", "f", 40, 30, {"auc": around(0.8), "sensitivity": around(0.7)})
    boys = e.Subgroup("sex", "m", 50, 30, {"auc": around(0.93), "sensitivity": around(0.9)})
    return e.SubgroupSection("auc", 20, (girls, boys), girls, {"site": "one value only"})


def _robustness(task: Task) -> e.RobustnessSection:
    name = "quadratic_kappa" if task == "ordinal" else "auc"
    kinds = ("noise", "blur", "brightness", "jpeg")
    corrupted = tuple(
        e.Corrupted(kind, severity, {name: around(0.9 - 0.004 * i * severity), "brier": around(0.1)})
        for i, kind in enumerate(kinds)
        for severity in range(1, 6)
    )
    return e.RobustnessSection(60, {name: around(0.9), "brier": around(0.1)}, corrupted)


def _abstention(names: tuple[str, ...]) -> e.AbstentionSection:
    achieved = {**{name: around(0.91) for name in names}, "all": around(0.91)}
    return e.AbstentionSection(
        coverage=0.9,
        limits=dict.fromkeys(names, 0.2),
        achieved=achieved,
        within=dict.fromkeys(achieved, True),
        sizes={"0": 0.0, "1": 0.85, "2": 0.15},
        unsure=0.15,
        accuracy_if_sure=around(0.95),
        false_refusal=0.05,
        refused=around(0.06, 0.02),
        threshold=3.2,
    )


def _saliency(where: Path) -> e.SaliencySection:
    rng = np.random.default_rng(0)
    (where / "gallery").mkdir(parents=True, exist_ok=True)
    gallery: dict[str, tuple[e.Shown, ...]] = {}
    for kind in ("surest right", "surest wrong", "least sure"):
        shown = []
        for i in range(2):
            file = f"gallery/{kind.replace(' ', '-')}-{i}.png"
            Image.fromarray(rng.integers(0, 256, (28, 56, 3), dtype=np.uint8)).save(where / file)
            shown.append(e.Shown(f"test/{i:04d}", "pneumonia", "normal", 0.97, file))
        gallery[kind] = tuple(shown)
    return e.SaliencySection("cam", 0.12, True, 0.5, gallery)
