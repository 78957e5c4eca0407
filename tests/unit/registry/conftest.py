from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bundles import export_tiny

from medexp.types import Task

ENGINES = ("litert", "openvino", "onnx")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Path]:
    """A bundle of each task."""
    folder = tmp_path_factory.mktemp("exported")
    export_tiny(folder / "binary" / "bundle", engines=ENGINES)
    export_tiny(folder / "multilabel" / "bundle", "multilabel")
    export_tiny(folder / "ordinal" / "bundle", "ordinal")
    return {task: folder / task / "bundle" for task in ("binary", "multilabel", "ordinal")}


@pytest.fixture
def folder(exported: dict[Task, Path], tmp_path: Path) -> Path:
    """A good bundle of a binary task, to be spoilt."""
    return Path(shutil.copytree(exported["binary"], tmp_path / "bundle"))


@pytest.fixture
def findings(exported: dict[Task, Path], tmp_path: Path) -> Path:
    """A good bundle of a multi-label task."""
    return Path(shutil.copytree(exported["multilabel"], tmp_path / "bundle"))
