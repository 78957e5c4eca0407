"""A tiny bundle, a registry that holds it, and a service that serves it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Registry, Service, in_a_process, serving

EXPORT = """
import sys
from pathlib import Path
from bundles import export_tiny
export_tiny(Path(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model" / "bundle"
    in_a_process(EXPORT, str(path))
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
