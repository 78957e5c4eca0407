"""`scripts/evaluate.py` on a real training, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from support import TINY, Script

from medexp.evaluation.evidence_file import read_evidence
from medexp.experiment.result_file import read_result
from medexp.registry.bundle import Bundle

Evaluate = Callable[..., Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Path:
    """The folder of a run with everything but its engines: a few hundred synthetic images, in seconds."""
    outputs = tmp_path_factory.mktemp("trained") / "outputs"
    small = [item for item in TINY if not item.startswith(("evaluation", "data.patients"))]
    done = script(
        "train", *small, "data.patients=80", "evaluation.engines=[litert]", "evaluation.resamples=100",
        "evaluation.corrupted_images=20", "evaluation.gallery=2", "card.intended_use='none: these are drawn'",
        f"paths.outputs={outputs}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (outputs / "runs").iterdir()
    return folder


@pytest.fixture
def evaluate(trained: Path, script: Script) -> Evaluate:
    def run(*overrides: str) -> Path:
        outputs = trained.parents[1]
        before = set((outputs / "evaluations").glob("*"))
        done = script("evaluate", trained.name[:8], *overrides, f"paths.outputs={outputs}")
        assert done.returncode == 0, done.stderr
        (folder,) = set((outputs / "evaluations").glob("*")) - before
        return folder

    return run


def test_a_training_ends_with_all_its_evidence_on_one_page(trained: Path) -> None:
    evidence = read_evidence(trained / "evaluation")
    sections = (evidence.calibration, evidence.operating, evidence.robustness, evidence.abstention, evidence.saliency)
    assert None not in sections
    assert set(evidence.metrics) == {"val", "test"}
    assert evidence.metrics["test"]["auc"].low < evidence.metrics["test"]["auc"].high
    assert evidence.resampling.unit == "group"
    page = (trained / "evaluation" / "report.html").read_text()
    assert "none: these are drawn" in page
    assert 'src="http' not in page
    assert (trained / "evaluation" / "model_card.md").is_file()


def test_numbers_and_intervals_are_in_the_store(trained: Path) -> None:
    client = MlflowClient(f"sqlite:///{trained.parents[1]}/mlflow.db")
    metrics = client.get_run(trained.name).data.metrics
    assert metrics["test_auc_low"] <= metrics["test_auc"] <= metrics["test_auc_high"]
    assert {"test_ece", "test_unsure", "test_refused", "saliency_similarity"} <= set(metrics)
    files = {item.path for item in client.list_artifacts(trained.name, "evaluation")}
    assert {"evaluation/evaluation.json", "evaluation/report.html", "evaluation/gallery"} <= files


def test_what_was_fitted_on_validation_is_what_is_served(trained: Path) -> None:
    evidence, result = read_evidence(trained / "evaluation"), read_result(trained)
    assert evidence.operating is not None
    assert evidence.calibration is not None
    assert evidence.abstention is not None
    assert result is not None
    passport = Bundle.open(trained / "bundle").passport
    assert passport.operating_point == evidence.operating.chosen
    assert passport.calibration == evidence.calibration.fitted
    assert passport.conformal.limits == evidence.abstention.limits
    assert passport.metrics == evidence.metrics["test"]
    assert result.metrics["threshold"] == passport.operating_point.thresholds["nodule"]


def test_another_aim_gives_another_bundle_of_the_same_network(trained: Path, evaluate: Evaluate) -> None:
    folder = evaluate('evaluation.operating_point="sensitivity>=0.99"', "evaluation=quick", "evaluation.prevalence=0.1")
    old, new = read_evidence(trained / "evaluation"), read_evidence(folder / "evaluation")
    assert old.operating is not None
    assert new.operating is not None
    assert new.run_id == trained.name
    assert new.evaluation_id == folder.name
    assert new.operating.chosen.aim == "sensitivity>=0.99"
    assert new.operating.chosen.thresholds["nodule"] < old.operating.chosen.thresholds["nodule"]
    assert new.operating.at_prevalence["nodule"].prevalence == 0.1
    assert new.metrics["test"]["auc"].value == pytest.approx(old.metrics["test"]["auc"].value)
    assert Bundle.open(folder / "bundle").passport.operating_point == new.operating.chosen
    client = MlflowClient(f"sqlite:///{trained.parents[1]}/mlflow.db")
    run = client.get_run(folder.name)
    assert (run.info.status, run.data.tags["medexp.evaluates"]) == ("FINISHED", trained.name)
    assert run.data.metrics["best_val_auc"] == client.get_run(trained.name).data.metrics["best_val_auc"]


@pytest.mark.slow
def test_values_that_are_not_named_are_the_runs_own(evaluate: Evaluate) -> None:
    folder = evaluate("evaluation.corruptions=[]", "evaluation.saliency=false")
    evidence = read_evidence(folder / "evaluation")
    assert evidence.resampling.resamples == 100
    assert evidence.robustness is None
    assert evidence.saliency is None
    assert "none: these are drawn" in (folder / "evaluation" / "report.html").read_text()


def test_on_other_data_nothing_is_fitted_and_nothing_exported(
    trained: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in ("nodule", "clear"):  # the other way round than the model has them
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(tmp_path / "images" / name / f"{i}.png")
    folder = evaluate("evaluation=quick", "data=folder", f"data.root={tmp_path / 'images'}", "images=all")
    evidence = read_evidence(folder / "evaluation")
    assert (evidence.data["images"]["test"], set(evidence.metrics)) == (24, {"test"})
    assert evidence.class_names == ("clear", "nodule")
    assert evidence.trained_on != evidence.data["digest"]
    assert evidence.operating is not None
    assert evidence.operating.chosen == Bundle.open(trained / "bundle").passport.operating_point
    assert not (folder / "bundle").exists()
    assert _result(folder)["bundle"] is None


def test_a_model_is_not_measured_on_classes_that_it_does_not_know(
    trained: Path, script: Script, tmp_path: Path
) -> None:
    for name in ("benign", "malignant"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (8, 8), i).save(tmp_path / "images" / name / f"{i}.png")
    done = script(
        "evaluate", f"run={trained}", "data=folder", f"data.root={tmp_path / 'images'}", "images=all",
        f"paths.outputs={trained.parents[1]}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "DataError" in done.stderr
    assert "benign" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["evaluation.coverage=2"], "evaluation.coverage: input should be less than 1"),
        (["evaluation.operating_point=best"], "evaluation.operating_point: should be youden"),
        (["images=all"], "images: has no effect on the run's own data"),
        (["model=resnet18"], "model"),
        (["trainer.max_epochs=3"], "trainer"),
    ],
)
def test_what_would_have_no_effect_is_refused(overrides: list[str], said: str, trained: Path, script: Script) -> None:
    done = script("evaluate", trained.name, *overrides, f"paths.outputs={trained.parents[1]}")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def _result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def test_what_cannot_be_evaluated_is_refused_before_it_is_trained(script: Script, outputs: Path) -> None:
    done = script("train", *TINY, "evaluation.subgroups=[nothing]", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "nothing" in done.stderr
    assert "epoch 1/" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
