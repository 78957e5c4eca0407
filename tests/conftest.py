"""What tests share: real processes, real data, a real PostgreSQL, a real browser."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from postgres import Postgres
from support import ARTIFACTS, ROOT, Script


@pytest.fixture(autouse=True, scope="session")
def _quiet_environment() -> None:
    for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR"):
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A handler that a test leaves behind would write to the closed output of that test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """A folder that is kept after the tests: screenshots."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS


@pytest.fixture(scope="session")
def medmnist() -> Path:
    """The folder that holds the MedMNIST files."""
    folders = [os.environ.get("MEDEXP_DATA_DIR"), ROOT / "datasets", ROOT.parent / "shared" / "data"]
    for folder in folders:
        if folder and (Path(folder) / "medmnist" / "pneumoniamnist.npz").is_file():
            return Path(folder).absolute() / "medmnist"
    pytest.skip("no real images: medmnist/pneumoniamnist.npz is neither in $MEDEXP_DATA_DIR nor in datasets/")


@pytest.fixture(scope="session")
def script() -> Script:
    """Run `scripts/<name>.py` as a user would, in any folder; the output is captured."""

    def run(
        name: str, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *arguments],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """An empty output folder, for `paths.outputs=`."""
    return tmp_path / "outputs"


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The URL of an empty database in a real PostgreSQL."""
    import psycopg

    name = f"medexp_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres_server}/{name}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL, started for the tests."""
    server = Postgres()
    server.start()
    yield server.url
    server.remove()


@pytest.fixture
def browser() -> Iterator[Any]:
    """A real Chromium without a window, 1280 by 900, that records its console and its requests."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        yield opened
