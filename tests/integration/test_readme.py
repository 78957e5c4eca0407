"""The README's own snippets, put where it says, do what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, TINY, Script

README = (ROOT / "README.md").read_text()


def snippet(marker: str) -> str:
    """The code block that holds `marker`."""
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", README, flags=re.DOTALL)
    (found,) = [block for block in blocks if marker in block]
    return str(found)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the README's three additions, each one file or one file and one YAML."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("conf", "medexp", "scripts", "hydra_plugins"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "medexp" / "models" / "tiny.py").write_text(snippet("def tiny("))
    (root / "conf" / "model" / "tiny.yaml").write_text(snippet("medexp.models.tiny.tiny"))
    (root / "conf" / "augmentation" / "mirrored.yaml").write_text(snippet("name: mirrored"))
    (root / "conf" / "data" / "knees.yaml").write_text(snippet("name: knees"))
    return root


def train(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/train.py", *arguments],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_new_network_and_the_new_policy_train(copy: Path) -> None:
    small = [item for item in TINY if not item.startswith("model.")]
    done = train(copy, "model=tiny", "data.aug=mirrored", *small)
    assert done.returncode == 0, done.stderr
    (folder,) = (copy / "outputs" / "runs").iterdir()
    assert json.loads((folder / "bundle" / "passport.json").read_text())["model"] == "tiny"
    assert "name: mirrored" in (folder / "config.yaml").read_text()


@pytest.mark.slow
def test_the_new_data_set_needs_its_yaml_only(copy: Path) -> None:
    from PIL import Image

    for number in range(45):
        path = copy / "datasets" / "knees" / f"grade{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 40), 40 * (number % 3) + number).save(path)
    done = train(copy, "data=knees", "data.input.height=32", "model.filters=[4]", "trainer.max_epochs=1", "logger=none")
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in (copy / "outputs" / "runs").glob("*/result.json")]
    (result,) = [result for result in results if result["data"]["name"] == "knees"]
    assert result["data"]["task"] == "multiclass"
    assert result["data"]["class_names"] == ["grade0", "grade1", "grade2"]
    assert "test_auc" in result["metrics"]


def test_the_example_of_a_mistake_is_what_is_printed(script: Script) -> None:
    (block,) = [block for block in re.findall(r"```\n(.*?)```", README, flags=re.DOTALL) if "3 problems" in block]
    command, wanted = block.split("\n", 1)
    done = script("train", *command.removeprefix("$ python scripts/train.py ").split())
    assert done.stderr.strip() == wanted.strip()


def test_every_file_that_the_documents_name_exists() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
