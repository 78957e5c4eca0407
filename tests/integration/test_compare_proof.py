"""`scripts/compare.py` proves: a real store, real studies, runs as a training leaves them, the script itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compared import Bench
from mlflow import MlflowClient
from support import Script
from tested_runs import config, write_tested_run
from toy_study import open_toy, toy_plan

from medexp.sweep.attached import attach
from medexp.sweep.parent import open_parent
from medexp.sweep.summary import summarise
from medexp.tracking.mlflow_tracker import MlflowTracker


class Store:
    """An outputs folder with a store, sweeps and tested runs."""

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self.uri = f"sqlite:///{outputs}/mlflow.db"
        self.tracker = MlflowTracker(uri=self.uri, experiment="medexp", artifacts=str(outputs / "mlartifacts"))
        self.bench = Bench(0, images=400)
        self.runs: dict[str, str] = {}
        self.sweeps: dict[str, str] = {}

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def sweep(
        self, name: str, models: list[str], *, tested: bool = True, noise: dict[str, float] | None = None
    ) -> None:
        """A sweep over `rate` whose trials are of these models; those of one model have different seeds."""
        folder = self.outputs / "sweeps" / name
        plan = toy_plan(str(folder / "study.journal"), folder, name=name, n_trials=len(models))
        study = open_toy(plan)
        parent_of = open_parent(
            self.tracker, study, plan, name=f"sweep {name}", below=self.outputs / "sweeps", fixed=["data=phantom"],
            params={}, tags={}, console_level="ERROR",
        )  # fmt: skip
        with parent_of as parent:
            self.sweeps[name] = parent.id
            for place, model in enumerate(models):
                order = study.ask()
                assert order is not None
                tags = {
                    "medexp.study": name, "medexp.trial.number": str(order.number), "medexp.trial.state": "COMPLETE",
                    "medexp.overrides": " ".join(order.overrides),
                }  # fmt: skip
                value = 0.9 - place / 100
                with self.tracker.start("trial", below=self.outputs / "runs", parent=parent.id, tags=tags) as run:
                    run.log_metrics({"best_val_auc": value, **({"test_auc": 0.8} if tested else {})}, step=0)
                    if tested:
                        write_tested_run(
                            run.folder, self.bench.model(noise=(noise or {}).get(model, 1.0)), score=value,
                            settings=config(model_name=model, seed=place),
                        )  # fmt: skip
                        for path in ("config.yaml", "split.csv", "result.json"):
                            run.log_files(run.folder / path)
                        run.log_files(run.folder / "predictions", "predictions")
                    with attach(plan.storage, plan.name, order.number) as trial:
                        trial.began(run.id, plan.folder)
                        trial.complete([value])
                    self.runs[f"{name} {place}"] = run.id
            summarise(parent, study.records(), hurried=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("proof") / "outputs")
    store.sweep("tested", ["bad", "good", "bad", "good"], noise={"good": 0.2, "bad": 2.5})
    store.sweep("validated", ["a", "b", "c"], tested=False)
    return store


def test_after_its_table_a_sweep_is_proven_and_its_parent_run_has_the_comparison(
    script: Script, store: Store, tmp_path: Path
) -> None:
    done = script("compare", "tested", f"paths.outputs={store.outputs}", "proof.resamples=300", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tested (FINISHED): 4 trials: 4 complete; by val_auc (max)" in done.stdout
    assert "'model=good' is better than 'model=bad' in test auc (adjusted p < 0.05)" in done.stdout
    assert "model=bad * " in done.stdout
    parent = store.sweeps["tested"]
    run = store.client.get_run(parent)
    assert run.info.status == "FINISHED"
    assert run.data.tags["medexp.comparison.winner"] == "model=good"
    assert run.data.metrics["comparison/differences_shown"] == 1
    logged = {item.path for item in store.client.list_artifacts(parent, "comparison")}
    assert logged == {f"comparison/{name}" for name in ("comparison.json", "comparison.html", "forest.png")}
    found = json.loads((store.outputs / "comparisons" / parent / "comparison.json").read_text())
    assert [len(variant["run_ids"]) for variant in found["variants"]] == [2, 2]


def test_of_trials_that_were_validated_only_it_says_what_would_be_proof(
    script: Script, store: Store, tmp_path: Path
) -> None:
    done = script("compare", "validated", f"paths.outputs={store.outputs}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The trials were validated only: the table is a ranking" in done.stdout
    commands = [line.strip() for line in done.stdout.splitlines() if "train.py -m data=phantom rate=" in line]
    assert len(commands) == 2
    assert all(command.endswith(f"paths.outputs={store.outputs} seed=1,2,3") for command in commands)
    assert "python scripts/compare.py 'runs=[<their run ids>]'" in done.stdout
    assert not (store.outputs / "comparisons" / store.sweeps["validated"]).exists()


def test_runs_are_compared_by_the_beginnings_of_their_ids_and_recorded_as_a_run_of_their_own(
    script: Script, store: Store, tmp_path: Path
) -> None:
    ids = [store.runs["tested 0"], store.runs["tested 1"]]
    named = ",".join(run_id[:8] for run_id in ids)
    done = script("compare", f"runs=[{named}]", f"paths.outputs={store.outputs}", "proof.metric=accuracy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "is better than" in done.stdout
    assert "p: McNemar, exact" in done.stdout
    experiment = store.client.get_experiment_by_name("medexp")
    (run,) = store.client.search_runs([experiment.experiment_id], "tags.`medexp.kind` = 'comparison'")
    assert run.info.run_name == "compare-accuracy-chests"
    assert run.info.status == "FINISHED"
    assert run.data.tags["medexp.compares"] == " ".join(ids)
    assert run.data.params["proof.metric"] == "accuracy"
    assert "comparison.html" in {item.path for item in store.client.list_artifacts(run.info.run_id)}
    assert (store.outputs / "comparisons" / run.info.run_id / "forest.png").is_file()


@pytest.mark.slow
def test_runs_that_are_not_here_are_fetched_from_the_store(script: Script, store: Store, tmp_path: Path) -> None:
    named = ",".join(store.runs[f"tested {i}"][:10] for i in range(4))
    done = script(
        "compare", f"runs=[{named}]", f"paths.outputs={tmp_path}/empty", f"tracking.uri={store.uri}",
        "proof.resamples=300", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "'model=good' is better than 'model=bad'" in done.stdout
    assert "Downloading" not in done.stderr


@pytest.mark.slow
def test_what_cannot_be_compared_is_a_sentence(script: Script, store: Store, tmp_path: Path) -> None:
    at = f"paths.outputs={store.outputs}"
    ids = [store.runs["tested 0"], store.runs["validated 0"]]
    untested = script("compare", f"runs=[{','.join(ids)}]", at, cwd=tmp_path)
    assert untested.returncode == 1
    assert "Runs without predictions of test images" in untested.stderr
    assert ids[1] in untested.stderr
    number = script("compare", "runs=[12e456,012345]", at, cwd=tmp_path)
    assert "Unknown run. Received: '12e456'" in number.stderr
    assert all("Traceback" not in done.stderr for done in (untested, number))
