"""A bundle where nothing is installed but what the service needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bundles import export_tiny, noise, spec
from support import ROOT

from medexp.registry.bundle import Bundle

ENGINES = ("litert", "openvino", "onnx")
ALONE = """
import importlib.util, json, sys, time
names = ("tensorflow", "keras", "sklearn", "pandas", "scipy", "hydra")
found = [name for name in names if importlib.util.find_spec(name)]
assert not found, f"not alone: {found}"
from pathlib import Path
import numpy as np
from medexp.registry.bundle import Bundle
batch = np.load(sys.argv[2])
answers = {}
for kind in sys.argv[3:]:
    bundle = Bundle.open(Path(sys.argv[1]), engine=kind)
    bundle.verify()
    outputs = bundle.outputs(batch)
    answers[kind] = [outputs.probabilities.tolist(), outputs.features.tolist(), outputs.map.tolist()]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment with requirements-serve.lock in it, and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--require-hashes"]
    installed = subprocess.run(
        [*command, "-r", str(ROOT / "requirements-serve.lock")], capture_output=True, text=True, timeout=600
    )
    if installed.returncode and any(word in installed.stderr for word in ("ConnectionError", "Temporary failure")):
        pytest.skip("no package index can be reached")
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.mark.slow
def test_engines_answer_without_tensorflow_or_keras(clean: Path, tmp_path: Path) -> None:
    bundle = export_tiny(tmp_path / "model" / "bundle", engines=ENGINES)
    np.save(tmp_path / "batch.npy", noise(spec()))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        [str(clean), "-c", ALONE, str(bundle.path), str(tmp_path / "batch.npy"), *ENGINES],
        capture_output=True, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    answers = json.loads(run.stdout)
    for kind in ENGINES:
        here = Bundle.open(bundle.path, engine=kind).outputs(noise(spec()))
        assert here.map is not None
        for found, wanted in zip(answers[kind], (here.probabilities, here.features, here.map), strict=True):
            assert np.array(found) == pytest.approx(wanted, abs=1e-6)
