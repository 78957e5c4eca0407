"""The service as a process on a real registry, for tests."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from support import ROOT, wait_until

from medexp.registry.passport import read_passport, write_passport


@dataclass(frozen=True)
class Registry:
    """An MLflow store that versions are registered in, as scripts/promote.py does it."""

    uri: str
    artifacts: Path

    def register(self, bundle: Path, *, champion: bool = True) -> str:
        from medexp.tracking.store import default_store, experiment_id, open_client

        client = open_client(self.uri)
        experiment = experiment_id(client, self.uri, "test", str(self.artifacts))
        model = client.create_logged_model(experiment, name="model")
        client.log_model_artifacts(model.model_id, str(bundle.parent))
        client.finalize_logged_model(model.model_id, "READY")
        if not client.search_registered_models("name = 'medexp'"):
            client.create_registered_model("medexp")
        with default_store(self.uri):
            created = client.create_model_version("medexp", f"models:/{model.model_id}", model_id=model.model_id)
        if champion:
            self.appoint(str(created.version))
        return str(created.version)

    def appoint(self, version: str | None) -> None:
        from medexp.tracking.store import open_client

        if version is None:
            open_client(self.uri).delete_registered_model_alias("medexp", "champion")
        else:
            open_client(self.uri).set_registered_model_alias("medexp", "champion", version)


class Service:
    """`python -m serve` on a free port."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "serve.log"
        settings = {"cache": folder / "cache", "refresh_seconds": 0.2, "port": 0, **settings}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MEDEXP_SERVE_")}
        environment |= {f"MEDEXP_SERVE_{key.upper()}": str(value) for key, value in settings.items()}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serve"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(lambda: self._address() or self.process.poll() is not None, seconds=30, what="the service to start")
        assert self.process.poll() is None, self.log.read_text()
        self.url = str(self._address())
        self.http = httpx.Client(base_url=self.url, timeout=20)

    def _address(self) -> str | None:
        found = re.search(r"running on (http://[\d.:]+)", self.log.read_text())
        return found[1] if found else None

    def ready(self) -> httpx.Response:
        return self.http.get("/health/ready")

    def wait_ready(self, version: str) -> None:
        wait_until(
            lambda: (r := self.ready()).status_code == 200 and r.json()["model"]["version"] == version,
            seconds=30, what=f"version {version} to be served",
        )  # fmt: skip

    def wait_detail(self, text: str) -> dict[str, Any]:
        wait_until(lambda: text in self.ready().text, seconds=30, what=repr(text))
        return dict(self.ready().json())

    def predict(self, data: bytes, name: str = "image.png", **more: Any) -> httpx.Response:
        return self.http.post("/v1/predict", files={"image": (name, data)}, **more)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def stop(self) -> int:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Service]:
    service = Service(folder, **settings)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


def png(size: tuple[int, int] = (16, 16), seed: int = 0, mode: str = "L") -> bytes:
    """An image of noise."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """100 megapixels in a small file."""
    Image.new("1", (10_000, 10_000)).save(buffer := io.BytesIO(), "PNG", optimize=True)
    return buffer.getvalue()


def in_a_process(code: str, *arguments: str) -> None:
    """Run Python code that knows the helpers of tests: TensorFlow stays out of the process of the tests."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    run = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode(errors="replace")


def variant(bundle: Path, folder: Path, **changes: Any) -> Path:
    """A copy of `bundle` with another passport."""
    copy = Path(shutil.copytree(bundle, folder / "bundle"))
    write_passport(copy, dataclasses.replace(read_passport(copy), **changes))
    return copy


def assert_problem(response: httpx.Response, status: int, *texts: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = dict(response.json())
    assert body["status"] == status
    assert {"type", "title", "detail", "instance"} <= body.keys()
    assert body["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    for text in texts:
        assert text in body["detail"]
    return body
