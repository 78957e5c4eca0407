"""The command lines of the README, to the letter, and the wrong turns beside them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, TINY, Script

HEAVY = ("keras", "tensorflow", "mlflow", "sklearn", "pandas", "matplotlib", "jax", "torch")


def loaded_by(code: str) -> set[str]:
    """Which heavy modules a fresh process has loaded after `code`."""
    probe = f"""
import sys, json, atexit
def tell(): print('LOADED ' + json.dumps([name for name in {HEAVY!r} if name in sys.modules]), flush=True)
atexit.register(tell)
{code}
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60)
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("LOADED ")]
    return set(json.loads(line.removeprefix("LOADED ")))


def run_train(*arguments: str) -> str:
    start = "runpy.run_path('scripts/train.py', run_name='__main__')"
    return f"import runpy; sys.argv = ['train.py', *{list(arguments)!r}]; {start}"


@pytest.mark.parametrize(
    "code",
    [
        "import medexp",
        run_train("--help"),
        run_train("--cfg", "job"),
        run_train("--info", "defaults"),
        run_train("trainer.max_epochs=many", "model.filters=3"),
        run_train("trainer.max_epoch=3"),
        run_train("-m", "data.aug=none,light", "trainer.max_epochs=many"),
    ],
    ids=["import", "help", "cfg", "info", "wrong value", "wrong key", "wrong sweep"],
)
def test_no_framework_is_loaded(code: str) -> None:
    assert loaded_by(code) == set()


def test_help_names_the_groups_and_the_command_lines(script: Script) -> None:
    done = script("train", "--help")
    assert done.returncode == 0
    assert "model=efficientnet data.aug=strong" in done.stdout
    assert re.search(r"^data: .*breastmnist, .*dicom, .*folder, manifest, .*phantom, pneumoniamnist", done.stdout, re.M)
    assert "augmentation: cutmix, light, medical, mixup, none, randaugment, strong" in done.stdout


def test_cfg_job_shows_the_policy_that_data_aug_chose(script: Script) -> None:
    import yaml

    done = script("train", "model=efficientnet", "data.aug=strong", "--cfg", "job", "--resolve")
    composed = yaml.safe_load(done.stdout)
    assert composed["data"]["aug"] == composed["augmentation"]["name"] == "strong"
    assert composed["augmentation"]["rotation"] == 0.06
    assert composed["model"]["_target_"] == "medexp.models.efficientnet.efficientnet"
    assert composed["name"] == "efficientnet-phantom-strong"


def test_info_defaults_shows_where_the_configuration_comes_from(script: Script) -> None:
    done = script("train", "--info", "defaults")
    assert done.returncode == 0
    assert "augmentation/light" in done.stdout


def test_tab_completion_knows_the_policies(script: Script) -> None:
    line = "python scripts/train.py data.aug="
    done = script("train", "-sc", "query=bash", env={"COMP_LINE": line, "COMP_POINT": str(len(line))})
    policies = ("cutmix", "light", "medical", "mixup", "none", "randaugment", "strong")
    assert done.stdout.split() == [f"data.aug={policy}" for policy in policies]


def test_completion_is_turned_on_in_a_real_bash(script: Script) -> None:
    done = script("train", "-sc", "bash")
    assert done.returncode == 0, done.stderr
    line = "python scripts/train.py data.aug=s"
    ask = f"""
PATH={Path(sys.executable).parent}:$PATH
eval "$(python scripts/train.py -sc bash)"
COMP_LINE='{line}' COMP_POINT={len(line)} COMP_CWORD=2
hydra_bash_completion
echo "FOUND ${{COMPREPLY[*]}}"
"""
    found = subprocess.run(["bash", "-c", ask], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "FOUND data.aug=strong" in found.stdout, found.stderr


def test_completion_for_another_shell_lists_those_there_are(script: Script) -> None:
    done = script("train", "-sc", "csh")
    assert done.returncode == 1
    assert "Available: bash, fish, zsh" in done.stderr


def test_every_problem_is_reported_at_once(script: Script) -> None:
    done = script("train", "trainer.max_epochs=many", "optimizer.learning_rat=1", "model=resnet", "data.batch_size=0")
    assert done.returncode == 1
    assert "4 problems" in done.stderr
    for text in (
        "trainer.max_epochs: should be int. Received: 'many'",
        "Did you mean optimizer.learning_rate?",
        "simple_cnn, vgg16, vit_tiny. Did you mean 'resnet50'?",
        "data.batch_size: input should be greater than 0",
    ):
        assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_policy_lists_what_there_is(script: Script) -> None:
    done = script("train", "data.aug=strnog")
    assert done.returncode == 1
    assert "randaugment, strong. Did you mean 'strong'?" in done.stderr


def test_a_wrong_job_of_a_sweep_is_found_before_any_job_starts(script: Script, outputs: Path) -> None:
    done = script("train", "-m", "trainer.max_epochs=1,many", *TINY[:-1], f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "Job trainer.max_epochs=many" in done.stderr
    assert not outputs.exists() or not list(outputs.glob("runs/*"))


def test_jobs_of_a_sweep_share_their_objective(script: Script) -> None:
    done = script("train", "-m", "objective.metric=val_auc,val_accuracy")
    assert done.returncode == 1
    assert "objective.metric: all trials of a study share it" in done.stderr


@pytest.mark.parametrize(
    ("metric", "text"),
    [("val_loss", "objective.mode=min"), ("test_auc", "the test set must not select"), ("val_f1", "")],
)
def test_an_objective_that_would_select_the_worst_is_refused(metric: str, text: str, script: Script) -> None:
    done = script("train", f"objective.metric={metric}", "trainer.max_epochs=many")
    assert text in done.stderr
    assert ("objective" in done.stderr) == bool(text)


def test_a_plain_value_in_an_experiment_file_is_found_to_change_the_label_only(script: Script, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndata:\n  aug: strong\n")
    done = script("train", f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    assert done.returncode == 1
    assert "data.aug: says 'strong', but the policy composed is 'light'" in done.stderr
    assert "- override /data.aug: strong" in done.stderr


@pytest.mark.slow
def test_efficientnet_with_strong_augmentation_trains(script: Script, outputs: Path) -> None:
    done = script(
        "train", "model=efficientnet", "data.aug=strong", "data.patients=24", "data.size=32", "data.input.height=32",
        "trainer.max_epochs=1", f"paths.outputs={outputs}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (outputs / "runs").iterdir()
    passport = json.loads((folder / "bundle" / "passport.json").read_text())
    assert passport["model"] == "efficientnet"
    assert passport["engines"][0]["difference"] < 1e-5


@pytest.mark.slow
def test_the_sweep_of_the_readme_trains_all_six_variants(script: Script, outputs: Path) -> None:
    done = script(
        "train", "-m", "model=simple_cnn,efficientnet", "data.aug=none,light,strong", "data.patients=24",
        "data.size=32", "data.input.height=32", "trainer.max_epochs=1", f"paths.outputs={outputs}", timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]
    assert len(results) == 6
    assert "6 trials: 6 complete; by val_auc" in done.stdout


@pytest.mark.slow
def test_the_baseline_experiment_trains_on_real_images(script: Script, outputs: Path, medmnist: Path) -> None:
    done = script("train", "experiment=pneumonia_baseline", "trainer.max_epochs=2", f"paths.outputs={outputs}")
    assert done.returncode == 0, done.stderr
    (path,) = outputs.glob("runs/*/result.json")
    result = json.loads(path.read_text())
    assert {split: sum(row.values()) for split, row in result["data"]["counts"].items()} == {
        "train": 4708, "val": 524, "test": 624,
    }  # fmt: skip
    assert result["data"]["class_names"] == ["normal", "pneumonia"]
    assert result["data"]["synthetic"] is False
    assert result["metrics"]["test_auc"] > 0.8
    assert "SYNTHETIC" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_folder_per_class_trains(script: Script, outputs: Path, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, level in (("0", 40), ("1", 200)):
        for number in range(20):
            path = tmp_path / "images" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.normal(level, 20, (24, 24)).clip(0, 255).astype("uint8")).save(path)
    arguments = ["data=folder", "data.root=images", "data.input.height=32", "model.filters=[8]", "trainer.max_epochs=2"]
    refused = script("train", *arguments, f"paths.outputs={outputs}", cwd=tmp_path)
    assert "data.positive=0 or data.positive=1" in refused.stderr
    done = script("train", *arguments, "data.positive=0", f"paths.outputs={outputs}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = outputs.glob("runs/*/result.json")
    assert json.loads(path.read_text())["data"]["class_names"] == ["1", "0"]


@pytest.mark.slow
def test_a_data_set_that_is_nowhere_names_url_folder_and_phantom(script: Script, outputs: Path, tmp_path: Path) -> None:
    done = script(
        "train", "data=breastmnist", f"paths.datasets={tmp_path / 'datasets'}", f"data.search=[{tmp_path}]",
        "data.url=http://127.0.0.1:9/breastmnist.npz", f"paths.outputs={outputs}",
    )  # fmt: skip
    assert done.returncode == 1
    for text in ("http://127.0.0.1:9/breastmnist.npz", str(tmp_path / "datasets" / "medmnist"), "data=phantom"):
        assert text in done.stderr
