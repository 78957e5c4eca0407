"""Audits as a user runs them: by script, and before a training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image
from support import TINY, Script

from medexp.data.phantom import PhantomSource


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest with a split of its own that has one image in train and in test."""
    root = tmp_path_factory.mktemp("leaky")
    source = PhantomSource(folder=str(root), patients=60, size=32, contrast=1.5, seed=0)
    source.prepare()
    (folder,) = (path for path in root.iterdir() if path.is_dir())
    lines = (folder / "manifest.csv").read_text().splitlines()
    splits = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    rows = [f"{line},{split}" for line, split in zip(lines[1:], splits, strict=True)]
    first = lines[1].split(",")
    Image.open(folder / first[0]).save(folder / "images" / "copy.bmp")
    rows.append(f"images/copy.bmp,{first[1]},p9999,test")
    path = folder / "manifest_with_split.csv"
    path.write_text("\n".join([f"{lines[0]},split", *rows]))
    return path


def options(manifest: Path) -> list[str]:
    columns = ["data.group_column=patient_id", "data.split_column=split", "data.positive=nodule"]
    size = ["data.input.height=32", "data.input.channels=1"]
    return ["data=manifest", f"data.manifest={manifest}", *columns, *size]


def test_a_script_refuses_a_leak_names_the_files_and_accepts_what_it_is_told_to(
    leaky: Path, outputs: Path, script: Script
) -> None:
    done = script("audit", *options(leaky), f"paths.outputs={outputs}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "images/copy.bmp (test" in done.stderr
    (folder,) = (outputs / "audits").iterdir()
    report = json.loads((folder / "audit" / "audit.json").read_text())
    assert report["findings"][0]["kind"] == "duplicates_across_splits"
    assert 'src="data:image/png;base64,' in (folder / "audit" / "audit.html").read_text()
    client = MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    run = client.get_run(folder.name)
    assert run.info.status == "FINISHED", "the audit did its work"
    assert run.data.tags["medexp.audit"] == "refused"
    assert {file.path for file in client.list_artifacts(folder.name, "audit")} >= {
        "audit/audit.html", "audit/audit.json", "audit/accept.yaml"
    }  # fmt: skip

    (override,) = re.findall(r"Accept exactly these: '(data\.accept=.*)'", done.stderr)
    again = script("audit", *options(leaky), f"paths.outputs={outputs}", override)
    assert again.returncode == 0, again.stderr
    assert "accepted" in again.stdout
    only_warned = script("audit", *options(leaky), f"paths.outputs={outputs}", "data.audit=warn")
    assert only_warned.returncode == 0


@pytest.mark.slow
def test_a_training_on_a_leak_is_refused_before_it_begins_and_what_is_accepted_is_recorded(
    leaky: Path, outputs: Path, script: Script
) -> None:
    small = [item for item in TINY if not item.startswith("data.")]
    command = [*options(leaky), *small, f"paths.outputs={outputs}"]
    refused = script("train", *command)
    assert refused.returncode == 1
    assert "images/copy.bmp (test" in refused.stderr
    assert "epoch" not in refused.stderr
    client = MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    (folder,) = (outputs / "runs").iterdir()
    assert client.get_run(folder.name).info.status == "FAILED"
    assert (folder / "audit" / "audit.html").is_file()

    (override,) = re.findall(r"Accept exactly these: '(data\.accept=.*)'", refused.stderr)
    trained = script("train", *command, override)
    assert trained.returncode == 0, trained.stderr
    (folder,) = (path for path in (outputs / "runs").iterdir() if (path / "result.json").exists())
    tags = client.get_run(folder.name).data.tags
    assert tags["medexp.audit.accepted"] == "duplicates_across_splits: 1"
    report = json.loads((folder / "audit" / "audit.json").read_text())
    (instance,) = report["findings"][0]["instances"]
    assert instance["accepted"] == "say why this is acceptable"


def test_an_audit_that_is_off_is_an_error_for_the_script(script: Script, outputs: Path) -> None:
    done = script("audit", "data.audit=off", f"paths.outputs={outputs}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "data.audit=warn" in done.stderr


def test_the_phantom_set_raises_no_alarm(script: Script, outputs: Path) -> None:
    done = script("audit", f"paths.outputs={outputs}", "logger=none")
    assert done.returncode == 0, done.stderr
    (path,) = outputs.glob("audits/*/audit/audit.json")
    report = json.loads(path.read_text())
    assert (report["refused"], report["warnings"]) == (0, 0)


def test_all_problems_of_a_command_come_at_once(script: Script) -> None:
    done = script("audit", "data=fantom", "audit.canry=true", "data.split.val=2")
    assert done.returncode == 1
    assert "3 problems" in done.stderr
    assert "Did you mean audit.canary?" in done.stderr
