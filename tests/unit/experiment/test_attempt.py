"""How the run of a trial ends: its status, its tags, and what the trial hears."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from medexp.config.load import load
from medexp.config.register import CONF, register
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, DataError, TrainingError
from medexp.experiment.attempt import Pruned, attempted, was_pruned, watch
from medexp.experiment.trial import objective_values
from medexp.sweep.trial import NullTrial
from medexp.tracking.journal import JOURNAL, last_status
from medexp.tracking.null_tracker import NullTracker
from medexp.types import DataSpec, InputSpec, Objective, RunResult


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


class Trial(NullTrial):
    """Remembers what it heard."""

    def __init__(self, *, hopeless: bool = False, over: bool = False) -> None:
        self.number, self.over, self._hopeless = 7, over, hopeless
        self.heard: list[object] = []

    def began(self, run_id: str, run_dir: Path) -> None:
        self.heard.append(run_dir)

    def report(self, value: float, *, step: int) -> None:
        self.heard.append((step, value))

    def should_prune(self) -> bool:
        return self._hopeless or self.over


def configuration(outputs: Path, *overrides: str) -> TrainConfig:
    return load(compose("train", overrides=[f"paths.outputs={outputs}", "logger=none", "sweep.study=s", *overrides]))


def tags(folder: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
    return {key: value for line in lines if line["kind"] == "tags" for key, value in line["tags"].items()}


def run_of(outputs: Path) -> Path:
    (folder,) = (outputs / "runs").iterdir()
    return folder


def test_a_pruned_trial_is_a_finished_run_without_a_result(outputs: Path) -> None:
    trial = Trial(hopeless=True)
    with (
        pytest.raises(Pruned) as caught,
        attempted(configuration(outputs), NullTracker(), trial=trial, tags={}, resume=None) as execution,
    ):
        (execution.folder / "checkpoints").mkdir()
        watch(trial, 0.25, step=2, epochs=3)
    folder = run_of(outputs)
    assert trial.heard == [folder, (2, 0.25)]
    assert (caught.value.value, caught.value.epochs) == (0.25, 3)
    assert last_status(folder) == "FINISHED"
    assert was_pruned(folder)
    assert tags(folder) == {"medexp.trial.state": "PRUNED"}  # the others are the tracker's, from the start
    assert not (folder / "checkpoints").exists()
    assert "pruned after 3 epochs, at 0.2500" in (folder / "run.log").read_text()


def test_a_trial_that_fails_is_a_failed_run(outputs: Path) -> None:
    with (
        pytest.raises(DataError),
        attempted(configuration(outputs), NullTracker(), trial=Trial(), tags={}, resume=None),
    ):
        raise DataError("no images")
    assert last_status(run_of(outputs)) == "FAILED"
    assert tags(run_of(outputs))["medexp.trial.state"] == "FAIL"


def test_a_trial_that_ends_well_is_complete_and_another_attempt_has_its_own_number(outputs: Path) -> None:
    config, trial = configuration(outputs), Trial()
    with (
        pytest.raises(KeyboardInterrupt),
        attempted(config, NullTracker(), trial=trial, tags={"own": "1"}, resume=None),
    ):
        raise KeyboardInterrupt
    folder = run_of(outputs)
    assert last_status(folder) == "KILLED"
    assert "medexp.trial.state" not in tags(folder)
    trial.number = 9
    with attempted(config, NullTracker(), trial=trial, tags={}, resume=folder):
        watch(trial, 0.5, step=0, epochs=1)
    assert last_status(folder) == "FINISHED"
    assert tags(folder)["medexp.trial.number"] == "9"
    assert tags(folder)["medexp.trial.state"] == "COMPLETE"


def test_a_run_that_is_no_trial_has_no_tags_of_one(outputs: Path) -> None:
    with attempted(configuration(outputs), NullTracker(), trial=NullTrial(), tags={}, resume=None):
        watch(NullTrial(), 0.5, step=0, epochs=1)
    assert tags(run_of(outputs)) == {}


def test_a_trial_that_somebody_else_has_ended_stops_and_was_not_pruned() -> None:
    with pytest.raises(TrainingError, match=r"thought dead.*trial 7"):
        watch(Trial(over=True), 0.5, step=0, epochs=1)


def test_the_values_of_a_trial_are_those_of_its_objectives(outputs: Path) -> None:
    data = DataSpec("d", "binary", ("no", "yes"), InputSpec(8, 8, 1), {}, "", "")
    metrics = {"val_auc": 0.75, "parameters": 721.0}
    result = RunResult("r", outputs, Objective("val_auc", "max"), 1, 2, metrics, data, None, None, 3.0)
    several = "search.objectives=[{metric:val_auc,mode:max},{metric:parameters,mode:min}]"
    assert objective_values(configuration(outputs), result) == [0.75]
    assert objective_values(configuration(outputs, several), result) == [0.75, 721.0]
    with pytest.raises(ConfigError, match=r"search\.objectives: Unknown metric.*'val_f1'.*parameters, val_auc"):
        objective_values(configuration(outputs, "search.objectives=[{metric:val_f1,mode:max}]"), result)
