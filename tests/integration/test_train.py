"""One training through the real command line: what it leaves, and that all of it has one name."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY, Script

OVERRIDES = ("augmentation=strong", "augmentation.rotation=0.1", "optimizer.learning_rate=3e-4", "seed=1")


@dataclass(frozen=True)
class Trained:
    """A finished training: its folder, what it printed, and the store."""

    folder: Path
    stdout: str
    stderr: str
    uri: str

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "result.json").read_text()))


@pytest.fixture(scope="module")
def trained(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    outputs = tmp_path_factory.mktemp("trained") / "outputs"
    done = script("train", *OVERRIDES, *TINY, f"paths.outputs={outputs}", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert not list(elsewhere.iterdir()), "nothing is written to the current directory"
    (folder,) = (outputs / "runs").iterdir()
    return Trained(folder, done.stdout, done.stderr, f"sqlite:///{outputs}/mlflow.db")


@pytest.fixture(scope="module")
def recorded(trained: Trained) -> Any:
    from medexp.tracking.store import open_client

    return open_client(trained.uri, create=False).get_run(trained.run_id)


def test_one_id_names_folder_result_log_bundle_and_mlflow_run(trained: Trained, recorded: Any) -> None:
    from medexp.registry.bundle import Bundle

    assert trained.result["run_id"] == trained.run_id
    assert recorded.info.run_id == trained.run_id
    assert Bundle.open(trained.folder / "bundle").passport.run_id == trained.run_id
    assert trained.run_id in trained.stdout


def test_the_one_log_holds_every_module_and_the_run_id_on_each_line(trained: Trained) -> None:
    logs = list(trained.folder.rglob("*.log"))
    assert logs == [trained.folder / "run.log"]
    lines = [line for line in logs[0].read_text().splitlines() if line.startswith("20")]
    assert all(trained.run_id in line for line in lines)
    modules = {line.split()[4].rstrip(":") for line in lines}
    assert {"medexp.experiment.train", "medexp.training.fitting", "medexp.training.progress"} <= modules
    assert len(lines) == len(set(lines)), "no line is written twice"


def test_synthetic_data_is_announced_where_it_is_read(trained: Trained) -> None:
    assert "SYNTHETIC" in trained.stderr
    assert "SYNTHETIC" in trained.stdout
    assert trained.result["data"]["synthetic"] is True


def test_native_libraries_do_not_write_to_the_terminal(trained: Trained) -> None:
    noise = [line for line in trained.stderr.splitlines() if "oneDNN" in line or "cuda" in line or "XNNPACK" in line]
    assert noise == []


def test_parameters_are_recorded_under_the_keys_that_override_them(recorded: Any) -> None:
    params = recorded.data.params
    wanted = {
        "optimizer.learning_rate": "0.0003",
        "augmentation.rotation": "0.1",
        "augmentation.name": "strong",
        "data.aug": "strong",
        "data.patients": "40",
        "seed": "1",
    }
    assert {key: params[key] for key in wanted} == wanted


def test_metrics_are_recorded_once_per_epoch(trained: Trained, recorded: Any) -> None:
    from medexp.tracking.store import open_client

    client = open_client(trained.uri, create=False)
    history = list(csv.DictReader((trained.folder / "history.csv").open()))
    assert len(history) == 2
    for name in ("loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc", "learning_rate"):
        points = client.get_metric_history(trained.run_id, name)
        assert [point.step for point in points] == [1, 2]
        assert [point.value for point in points] == pytest.approx([float(row[name]) for row in history])


def test_the_best_epoch_and_the_test_metrics_are_recorded(trained: Trained, recorded: Any) -> None:
    metrics, result = recorded.data.metrics, trained.result
    assert metrics["best_epoch"] == result["best_epoch"]
    assert metrics["best_val_auc"] == pytest.approx(result["metrics"]["val_auc"])
    for name in ("test_auc", "test_accuracy", "test_sensitivity", "test_specificity", "threshold"):
        assert metrics[name] == pytest.approx(result["metrics"][name])


def test_the_environment_is_recorded(trained: Trained, recorded: Any) -> None:
    import keras

    facts = json.loads((trained.folder / "environment.json").read_text())
    assert facts["versions"]["keras"] == keras.__version__
    assert facts["seed"] == 1
    assert facts["command"][1:] == [*OVERRIDES, *TINY, f"paths.outputs={trained.folder.parents[1]}"]
    assert recorded.data.tags["medexp.version.keras"] == keras.__version__
    assert recorded.data.tags["medexp.host"] == facts["host"]
    if facts["git_commit"]:
        assert recorded.data.tags["mlflow.source.git.commit"] == facts["git_commit"]


def test_the_data_set_is_an_mlflow_input_with_counts_per_class_and_split(trained: Trained, recorded: Any) -> None:
    (entry,) = recorded.inputs.dataset_inputs
    data = trained.result["data"]
    assert (entry.dataset.name, entry.dataset.digest) == ("phantom", data["digest"])
    assert json.loads(entry.dataset.profile)["counts"] == data["counts"]
    assert sum(data["counts"]["train"].values()) + sum(data["counts"]["test"].values()) > 40
    assert json.loads(entry.dataset.source)["uri"].endswith("manifest.csv")


def test_pictures_configuration_and_log_are_artifacts(trained: Trained) -> None:
    from medexp.tracking.store import open_client

    client = open_client(trained.uri, create=False)
    found = {
        item.path for folder in ("", "plots", "predictions") for item in client.list_artifacts(trained.run_id, folder)
    }
    pictures = {"curves", "confusion_matrix", "roc", "precision_recall"}
    assert {f"plots/{name}.png" for name in pictures} <= found
    assert {"config.yaml", "environment.json", "history.csv", "result.json", "run.log", "predictions/test.csv"} <= found


def test_the_recorded_configuration_composes_the_same_run_again(trained: Trained) -> None:
    import yaml
    from hydra import compose, initialize_config_dir

    from medexp.config.flatten import as_composed
    from medexp.config.load import load
    from medexp.config.register import CONF, register

    register()
    outputs = trained.folder.parents[1]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("train", overrides=[*OVERRIDES, *TINY, f"paths.outputs={outputs}"])
    assert yaml.safe_load((trained.folder / "config.yaml").read_text()) == as_composed(load(composed))


def test_mlflow_loads_the_model_and_it_says_what_was_recorded(trained: Trained) -> None:
    import mlflow
    import mlflow.keras
    import mlflow.pyfunc

    from medexp.registry.bundle import Bundle
    from medexp.tracking.store import default_store

    with default_store(trained.uri):
        model = mlflow.keras.load_model(trained.result["model_uri"])
        stock = mlflow.pyfunc.load_model(trained.result["model_uri"])
    rows = list(csv.DictReader((trained.folder / "predictions" / "test.csv").open()))
    data = Path(trained.result["data"]["source"]).parent
    bundle = Bundle.open(trained.folder / "bundle")
    pixels = np.stack([bundle.read((data / row["image"]).read_bytes()) for row in rows])
    wanted = np.array([[float(row["p(clear)"]), float(row["p(nodule)"])] for row in rows])
    np.testing.assert_allclose(model.predict(pixels, verbose=0), wanted, atol=1e-6)
    np.testing.assert_allclose(stock.predict(pixels.astype("float32")), wanted, atol=1e-6)
    np.testing.assert_allclose(bundle.probabilities(pixels), wanted, atol=1e-5)


@pytest.mark.slow  # by day test_reproduce.py compares weights bit by bit
def test_the_same_command_gives_the_same_numbers(trained: Trained, script: Script, tmp_path: Path) -> None:
    done = script("train", *OVERRIDES, *TINY, f"paths.outputs={tmp_path / 'again'}", "logger=none")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "again" / "runs").iterdir()
    again = json.loads((folder / "result.json").read_text())
    skip = {"epoch_seconds", "seconds"}
    assert {k: v for k, v in again["metrics"].items() if k not in skip} == {
        k: v for k, v in trained.result["metrics"].items() if k not in skip
    }
    assert again["data"]["digest"] == trained.result["data"]["digest"]
    assert not (tmp_path / "again" / "mlflow.db").exists(), "logger=none opens no store"
