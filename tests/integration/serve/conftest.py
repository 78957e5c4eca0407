"""A tiny bundle, a registry that holds it, and a service that serves it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Registry, Service, serving
from support import ROOT

EXPORT = """
import sys
from pathlib import Path
import keras, numpy as np
from medexp.registry.export import export_bundle
from medexp.types import DataSpec, InputSpec
keras.utils.set_random_seed(3)
image = keras.Input((16, 16, 1))
hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(hidden))
data = DataSpec("phantom", "binary", ("clear", "nodule"), InputSpec(16, 16, 1), {}, "d1", "test", synthetic=True)
export_bundle(
    model, Path(sys.argv[1]), run_id="a" * 32, name="tiny", data=data, thresholds={"nodule": 0.5},
    metrics={"test_auc": 0.75, "broken": float("nan")}, native_log=Path(sys.argv[1] + ".log"),
    check_on=np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8),
)
"""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model" / "bundle"
    path.parent.mkdir()
    subprocess.run([sys.executable, "-c", EXPORT, str(path)], cwd=ROOT, check=True, capture_output=True)
    (path.parent.parent / "model" / "bundle.log").unlink(missing_ok=True)
    return path


@pytest.fixture(scope="session")
def registry(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    registry.register(bundle)
    return registry


@pytest.fixture(scope="session")
def service(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving(folder, tracking_uri=registry.uri, max_bytes=300_000) as service:
        service.wait_ready("1")
        yield service
        assert service.stop() in (0, -signal.SIGTERM)
        assert all(line["level"] in ("INFO", "WARNING") for line in service.lines())
