"""Runs on phantom images with all that a promotion reads: config, split, predictions, evidence, a real bundle."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from bundles import export, network, with_thresholds
from hydra import compose, initialize_config_dir

from medexp.config.flatten import as_composed
from medexp.config.load import load, load_promote
from medexp.config.register import CONF, register
from medexp.config.schema import TrainConfig
from medexp.config.schema_promote import PromoteConfig
from medexp.data.module import DataModule
from medexp.decision.operating_point import OperatingPoint
from medexp.evaluation.evidence import CalibrationSection, Evidence, OperatingSection
from medexp.evaluation.evidence_file import FOLDER, write_evidence
from medexp.evaluation.intervals import metric_estimates, resampling
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.reliability import reliability
from medexp.experiment.data import data_module
from medexp.types import Calibration

HOW: dict[str, Any] = {"resamples": 200, "confidence": 0.95}
THRESHOLDS = {"nodule": 0.5}
CLEAN = {"medexp.audit": "clean", "medexp.audit.refused": "0", "medexp.audit.accepted": ""}
PHANTOM = (
    "data.patients=240", "data.size=16", "data.input.height=16", "data.split.test=0.42", "data.split.val=0.2",
    "logger=none",
)  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """A store, and runs that are put into it.

    Args:
        uri: of the store.
        outputs: where the runs have their folders.
    """

    uri: str
    outputs: Path

    def config(self, *overrides: str) -> TrainConfig:
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return load(compose("train", overrides=[*PHANTOM, f"paths.outputs={self.outputs}", *overrides]))

    def promote_config(self, *overrides: str) -> PromoteConfig:
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            places = [f"paths.outputs={self.outputs}", f"tracking.uri={self.uri}"]
            return load_promote(compose("promote", overrides=[*places, *overrides]))

    def data(self, config: TrainConfig) -> DataModule:
        data = data_module(config.data, seed=0)
        data.prepare()
        data.setup()
        return data

    def add(
        self,
        config: TrainConfig,
        *,
        score: float = 0.9,
        noise: float = 0.8,
        seed: int = 0,
        tags: Mapping[str, str] | None = None,
        evaluated: bool = True,
    ) -> str:
        """A finished run: what it says of the test images is their label and noise, its bundle is another matter."""
        from medexp.tracking.mlflow_tracker import MlflowTracker

        data = self.data(config)
        tracker = MlflowTracker(uri=self.uri, experiment="medexp", artifacts=str(self.outputs / "mlartifacts"))
        with tracker.start("run", below=self.outputs / "runs", tags={**CLEAN, **(tags or {})}) as run:
            folder = run.folder
            (folder / "config.yaml").write_text(yaml.safe_dump(as_composed(config)))
            (folder / "environment.json").write_text("{}")
            data.write_split(folder / "split.csv")
            test = said(data, noise=noise, seed=seed)
            (folder / "predictions").mkdir()
            test.write(folder / "predictions" / "test.csv", thresholds=THRESHOLDS)
            if evaluated:
                write_evidence(evidence(test, data, run.id), folder / FOLDER)
                run.log_files(folder / FOLDER, FOLDER)
            for name in ("config.yaml", "environment.json", "split.csv"):
                run.log_files(folder / name)
            run.log_files(folder / "predictions", "predictions")
            run.log_data(data.spec)
            run.log_metrics({"best_val_auc": score, "val_auc": 0.5, "test_auc": score - 0.1}, step=0)
            flavor = run.outbox / "model"
            images = data.images("val", np.arange(8))
            export(
                flavor / "bundle", network(data.spec, seed=seed), data.spec, run_id=run.id, check_on=images,
                golden=images[:2], operating_point=with_thresholds(THRESHOLDS),
            )  # fmt: skip
            run.log_model(flavor, params={}, metrics={})
        return run.id

    def forget_folders(self) -> None:
        """As on another machine: runs are in the store alone."""
        shutil.rmtree(self.outputs / "runs")


def said(data: DataModule, *, noise: float, seed: int) -> Predictions:
    """Calibrated probabilities of the test images that tell the classes apart as well as `noise` lets them."""
    part = data.examples("test")
    drawn = np.random.default_rng(seed).normal(size=len(part.keys))
    logits = (2 * part.labels - 1) / noise**2 + drawn * np.sqrt(2) / noise
    positive = 1 / (1 + np.exp(-logits))
    probabilities = np.stack([1 - positive, positive], axis=1).astype(np.float32)
    spec = data.spec
    return Predictions(
        "test", part.keys, part.labels, probabilities, spec.class_names, spec.task, part.groups, part.metadata
    )


def evidence(test: Predictions, data: DataModule, run_id: str) -> Evidence:
    """What an evaluation finds of these predictions."""
    spec = data.spec
    found = reliability(test, **HOW)
    return Evidence(
        run_id=run_id,
        evaluation_id=run_id,
        created="2026-01-01T00:00:00+00:00",
        task=spec.task,
        class_names=spec.class_names,
        data={"name": spec.name, "digest": spec.digest},
        trained_on=spec.digest,
        resampling=resampling(test, **HOW),
        metrics={"test": metric_estimates(test, thresholds=THRESHOLDS, **HOW)},
        calibration=CalibrationSection(Calibration("none"), found, found),
        operating=OperatingSection(OperatingPoint("youden", THRESHOLDS), {}),
    )
