"""Trials of a real study: trained, reported, pruned, interrupted and gone on with, by folds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import compose, initialize_config_dir
from support import TINY, Script

from medexp.config.load import load
from medexp.config.register import CONF, register
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, RegistryError, TrainingError
from medexp.experiment.trial import run_trial
from medexp.registry.candidates import Candidates
from medexp.sweep.attached import StudyTrial
from medexp.sweep.plan import Plan
from medexp.sweep.records import Order, Record
from medexp.sweep.space import Interval, Space
from medexp.sweep.study import SharedStudy
from medexp.tracking.journal import last_status
from medexp.tracking.store import open_client
from medexp.types import Objective

LIGHT = ("sweep.export=false", "audit.probe=false", "runtime.console_level=ERROR")


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@dataclass
class Study:
    """A real study, and the jobs that its sweeper would start."""

    outputs: Path
    shared: SharedStudy

    @classmethod
    def open(cls, outputs: Path, *, pruner: str = "none", objectives: tuple[Objective, ...] | None = None) -> Study:
        options = {"n_startup_trials": 1, "n_warmup_steps": 0} if pruner == "median" else {}
        plan = Plan(
            name="study",
            storage=str(outputs / "study.journal"),
            objectives=objectives or (Objective("val_auc", "max"),),
            space=Space((Interval("optimizer.learning_rate", 1e-4, 1e-3),)),
            sampler="random",
            sampler_options={},
            pruner=pruner,
            pruner_options=options,
            n_trials=10,
            seed=0,
            max_retry=2,
            definition={"a": "b"},
            folder=outputs,
        )
        outputs.mkdir(parents=True, exist_ok=True)
        return cls(outputs, SharedStudy.open(plan, make_sampler=lambda index: optuna.samplers.RandomSampler(index)))

    def ask(self) -> Order:
        order = self.shared.ask()
        assert order is not None
        return order

    def config(self, order: Order, *overrides: str) -> TrainConfig:
        own = (
            f"paths.outputs={self.outputs}",
            "sweep.study=study",
            f"sweep.storage={self.outputs}/study.journal",
            f"sweep.trial={order.number}",
        )
        return load(compose("train", overrides=[*TINY, *LIGHT, *own, *order.overrides, *overrides]))

    def run(self, *overrides: str) -> Record:
        """Do what a sweeper and its job do, one after the other; return what is recorded of the trial."""
        run_trial(self.config(order := self.ask(), *overrides))
        return self.record(order)

    def record(self, order: Order) -> Record:
        return self.shared.records()[order.index]

    def runs(self) -> list[Path]:
        return sorted((self.outputs / "runs").iterdir())

    def in_mlflow(self, run_id: str) -> Any:
        return open_client(f"sqlite:///{self.outputs}/mlflow.db", create=False).get_run(run_id)


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process SIGTERM when a trial reports this step for the first time."""
    report: Callable[..., None] = StudyTrial.report
    seen: list[int] = []

    def reported(trial: StudyTrial, value: float, *, step: int) -> None:
        report(trial, value, step=step)
        if step == at and not seen:
            seen.append(step)
            os.kill(os.getpid(), signal.SIGTERM)

    at = step
    monkeypatch.setattr(StudyTrial, "report", reported)


def result_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def test_a_light_trial_reports_each_epoch_and_is_validated_only(outputs: Path) -> None:
    study = Study.open(outputs)
    record = study.run()
    (folder,) = study.runs()
    result = result_of(folder)
    assert (record.state, record.run_id, record.epochs) == ("complete", folder.name, 2)
    assert record.values == (result["metrics"]["val_auc"],)
    assert list(record.reports) == [0, 1]
    assert max(record.reports.values()) == record.values[0]
    assert result["bundle"] is None
    assert result["metrics"]["parameters"] > 0
    assert not any(name.startswith("test_") for name in result["metrics"])
    assert not {"bundle", "plots", "predictions", "audit", "checkpoints"} & {path.name for path in folder.iterdir()}
    assert (folder / "best.weights.h5").is_file()
    run = study.in_mlflow(folder.name)
    assert run.info.status == "FINISHED"
    assert run.data.tags["medexp.trial.state"] == "COMPLETE"
    assert (run.data.tags["medexp.study"], run.data.tags["medexp.trial.number"]) == ("study", "0")
    assert run.data.metrics["best_val_auc"] == record.values[0]
    candidates = Candidates(
        uri=f"sqlite:///{outputs}/mlflow.db", experiment="medexp", model_name="m", objective=Objective("val_auc", "max")
    )
    with pytest.raises(RegistryError, match=r"validated only.*Train it .*: python scripts/train\.py"):
        candidates.propose()


@pytest.mark.slow
def test_trials_of_other_seeds_share_one_audit(outputs: Path) -> None:
    study = Study.open(outputs)
    for seed in (0, 1):
        study.run(f"seed={seed}", "trainer.max_epochs=1")
    assert len(list((outputs / "cache" / "audits").glob("*.json"))) == 1


def test_a_hopeless_trial_is_pruned_and_its_run_finished(outputs: Path) -> None:
    study = Study.open(outputs, pruner="median")
    storage = study.shared.storage  # a trial that was better than any can be, without training one
    study_id = storage.get_study_id_from_name("study")
    found = storage.get_trial_id_from_study_id_trial_number(study_id, study.ask().number)
    for step in range(2):
        storage.set_trial_intermediate_value(found, step, 1.5)
    storage.set_trial_state_values(found, optuna.trial.TrialState.COMPLETE, [1.5])
    record = study.run()
    (folder,) = study.runs()
    assert (record.state, record.run_id, record.epochs, list(record.reports)) == ("pruned", folder.name, 1, [0])
    assert not (folder / "checkpoints").exists()
    run = study.in_mlflow(folder.name)
    assert (run.info.status, run.data.tags["medexp.trial.state"]) == ("FINISHED", "PRUNED")


def test_an_interrupted_trial_goes_on_in_its_run(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.open(outputs)
    interrupt_at(0, monkeypatch)
    with pytest.raises(SystemExit) as ending:
        run_trial(study.config(first := study.ask(), "trainer.max_epochs=3"))
    (folder,) = study.runs()
    assert (ending.value.code, last_status(folder)) == (128 + signal.SIGTERM, "KILLED")
    again = study.ask()
    assert (again.index, again.overrides, again.resume) == (first.index, first.overrides, folder)
    assert again.number != first.number
    run_trial(study.config(again, "trainer.max_epochs=3"))
    record = study.record(again)
    assert study.runs() == [folder]
    assert (record.state, record.run_id, record.epochs, list(record.reports)) == (
        "complete", folder.name, 3, [0, 1, 2],
    )  # fmt: skip
    run = study.in_mlflow(folder.name)
    assert (run.info.status, run.data.tags["medexp.trial.number"]) == ("FINISHED", str(again.number))
    assert "going on after step" in (folder / "run.log").read_text()


def test_a_trial_that_was_done_before_it_could_tell_is_not_trained_again(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.open(outputs)
    monkeypatch.setattr(StudyTrial, "complete", lambda trial, values: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        run_trial(study.config(study.ask()))
    monkeypatch.undo()
    (folder,) = study.runs()
    before = (folder / "result.json").stat().st_mtime_ns
    record = study.run()
    assert study.runs() == [folder]
    assert (folder / "result.json").stat().st_mtime_ns == before
    assert (record.state, record.values) == ("complete", (result_of(folder)["metrics"]["val_auc"],))


def test_a_trial_that_cannot_be_trained_says_why(outputs: Path) -> None:
    study = Study.open(outputs)
    with pytest.raises(TrainingError):
        run_trial(study.config(order := study.ask(), "objective.metric=val_nothing"))
    record = study.record(order)
    assert record.state == "failed"
    assert "Unknown metric" in str(record.error)
    assert study.in_mlflow(str(record.run_id)).data.tags["medexp.trial.state"] == "FAIL"


def test_an_objective_that_there_is_not_costs_one_epoch(outputs: Path) -> None:
    study = Study.open(outputs)
    nothing = "search.objectives=[{metric:val_nothing,mode:max}]"
    with pytest.raises(ConfigError, match="Unknown metric"):
        run_trial(study.config(order := study.ask(), nothing, "search.pruner=none", "trainer.max_epochs=3"))
    record = study.record(order)
    assert record.state == "failed"
    history = study.in_mlflow(str(record.run_id)).data.metrics
    assert "best_epoch" not in history  # it did not come to an end
    assert not (outputs / "runs" / str(record.run_id) / "result.json").exists()


def test_a_trial_of_several_objectives_tells_a_value_for_each(outputs: Path) -> None:
    study = Study.open(outputs, objectives=(Objective("val_auc", "max"), Objective("parameters", "min")))
    several = "search.objectives=[{metric:val_auc,mode:max},{metric:parameters,mode:min}]"
    record = study.run(several, "trainer.max_epochs=1")
    metrics = result_of(study.runs()[0])["metrics"]
    assert record.values == (metrics["val_auc"], metrics["parameters"])


@pytest.mark.slow
def test_folds_are_children_of_the_trial_and_finished_ones_are_kept(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.open(outputs)
    folds = ("sweep.folds=true", "data.split.folds=3", "trainer.max_epochs=1")
    interrupt_at(1, monkeypatch)
    with pytest.raises(SystemExit):
        run_trial(study.config(study.ask(), *folds))
    assert len(study.runs()) == 3
    record = study.run(*folds)
    assert len(study.runs()) == 4
    parent = outputs / "runs" / str(record.run_id)
    result = result_of(parent)
    children = [result_of(outputs / "runs" / name)["metrics"]["val_auc"] for name in result["folds"]]
    assert (record.state, record.epochs, list(record.reports)) == ("complete", 3, [0, 1, 2])
    assert list(record.reports.values()) == children
    assert record.values == (pytest.approx(sum(children) / 3),)
    assert result["metrics"]["val_auc_std"] > 0
    for fold, name in enumerate(result["folds"]):
        tags = study.in_mlflow(name).data.tags
        assert (tags["mlflow.parentRunId"], tags["medexp.fold"]) == (parent.name, str(fold))
    assert study.in_mlflow(parent.name).data.metrics["best_val_auc"] == pytest.approx(record.values[0])


def test_a_search_without_many_jobs_is_refused(script: Script, outputs: Path) -> None:
    done = script("train", "search=optuna", "seed=1", f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "this command is one" in done.stderr
    assert "python scripts/train.py -m search=optuna seed=1" in done.stderr
    assert not outputs.exists()
