"""The service as a process, over HTTP and in a browser, on a real registry."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support import ROOT, wait_until

from medexp.errors import RegistryError
from medexp.registry.bundle import Bundle, read_passport, write_passport

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
    model, Path(sys.argv[1]), run_id="a" * 32, name="tiny", data=data, threshold=0.5,
    metrics={"test_auc": 0.75, "broken": float("nan")}, native_log=Path(sys.argv[1] + ".log"),
    check_on=np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8),
)
"""
FORBIDDEN = """
import sys
from pathlib import Path
from serve.app import create_app
from serve.settings import Settings
app = create_app(Settings(tracking_uri=sys.argv[1], cache=Path(sys.argv[2])))
state = app.state.champion.look()
assert state.served is not None, state.problem
print(sorted({name.partition(".")[0] for name in sys.modules} & {"keras", "tensorflow", "hydra", "omegaconf"}))
"""
DROP = """
const data = new DataTransfer();
data.items.add(new File(["not an image"], "notes.png", { type: "image/png" }));
document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
"""


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


def variant(bundle: Path, folder: Path, **changes: Any) -> Path:
    """A copy of `bundle` with another passport."""
    copy = Path(shutil.copytree(bundle, folder / "bundle"))
    write_passport(copy, dataclasses.replace(read_passport(copy), **changes))
    return copy


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model" / "bundle"
    path.parent.mkdir()
    subprocess.run([sys.executable, "-c", EXPORT, str(path)], cwd=ROOT, check=True, capture_output=True)
    (path.parent.parent / "model" / "bundle.log").unlink(missing_ok=True)
    return path


@pytest.fixture(scope="module")
def registry(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    registry.register(bundle)
    return registry


@pytest.fixture(scope="module")
def service(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving(folder, tracking_uri=registry.uri, max_bytes=300_000) as service:
        service.wait_ready("1")
        yield service
        assert service.stop() in (0, -signal.SIGTERM)
        assert all(line["level"] in ("INFO", "WARNING") for line in service.lines())


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


@pytest.mark.parametrize(("size", "mode"), [((16, 16), "L"), ((40, 23), "L"), ((31, 64), "RGB")])
def test_prediction_is_the_bundles(service: Service, bundle: Path, size: tuple[int, int], mode: str) -> None:
    data = png(size, seed=size[0], mode=mode)
    wanted = Bundle.open(bundle).classify(data)
    answer = service.predict(data)
    assert answer.status_code == 200
    body = answer.json()
    assert body["label"] == wanted.label
    assert body["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-6)
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (body["positive"], body["threshold"]) == ("nodule", 0.5)
    assert body["model"] == {"name": "medexp", "version": "1", "alias": "champion", "run_id": "a" * 32}
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (b"GIF89a not an image", "Not a readable image"),
        (png((64, 64))[:-900], "Not a readable image"),
        (bomb(), "too many pixels"),
    ],
    ids=["empty", "garbage", "truncated", "bomb"],
)
def test_unusable_image_is_refused_and_the_service_lives(service: Service, data: bytes, text: str) -> None:
    problem = assert_problem(service.predict(data, "../../etc/evil.png"), 400, text, "Received: evil.png")
    assert problem["type"] == "urn:medexp:problem:unusable-image"
    assert service.predict(png()).status_code == 200


def test_wrong_forms_are_refused(service: Service) -> None:
    post = service.http.post
    assert_problem(post("/v1/predict"), 422, "The image is missing", "named `image`")
    assert_problem(post("/v1/predict", files={"picture": ("a.png", png())}), 422, "body.image")
    assert_problem(post("/v1/predict", json={"image": "aGk="}), 422, "application/json")
    assert_problem(post("/v1/predict", data={"image": "text"}, files={"x": ("a", b"")}), 422, "body.image")
    two = [("image", ("a.png", png())), ("image", ("b.png", png()))]
    assert_problem(post("/v1/predict", files=two), 400, "Too many files")
    headers = {"Content-Type": "multipart/form-data"}
    assert_problem(post("/v1/predict", content=b"no boundary", headers=headers), 400, "cannot be read")
    assert service.predict(png()).status_code == 200


def test_large_bodies_are_refused_while_they_arrive(service: Service) -> None:
    too_large = assert_problem(service.predict(b"x" * 400_000), 413, "at most 300,000")
    assert too_large["type"] == "urn:medexp:problem:too-large"
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield head
        while sent < 200_000_000:
            sent += 100_000
            yield b"x" * 100_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with suppress(httpx.TransportError):  # the service hangs up on a client that never stops
        assert_problem(service.http.post("/v1/predict", content=endless(), headers=headers), 413, "more than 300,000")
    assert sent < 50_000_000
    chunks = iter([head, *[b"x" * 100_000] * 4])
    assert_problem(service.http.post("/v1/predict", content=chunks, headers=headers), 413, "more than 300,000")
    assert service.predict(png((256, 256))).status_code == 200


def test_unknown_paths_and_methods_are_problems(service: Service) -> None:
    assert_problem(service.http.get("/nothing"), 404, "GET /nothing")
    assert_problem(service.http.get("/ui/../settings.py"), 404)
    assert_problem(service.http.get("/docs"), 404)
    assert_problem(service.http.get("/redoc"), 404)
    refused = service.http.get("/v1/predict")
    assert_problem(refused, 405, "Use POST")
    assert refused.headers["allow"] == "POST"


def test_request_ids_are_kept_where_harmless_and_logged(service: Service) -> None:
    assert service.predict(png(), headers={"X-Request-ID": "scan-7.b_1"}).headers["x-request-id"] == "scan-7.b_1"
    for odd in ("a b", "x" * 65, "{}", "é".encode()):
        given = service.http.get("/health/live", headers={"X-Request-ID": odd}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", given)
    (line,) = (line for line in service.lines() if line.get("request_id") == "scan-7.b_1")
    assert line["run_id"] == "a" * 32
    assert (line["method"], line["path"], line["status"], line["model_version"]) == ("POST", "/v1/predict", 200, "1")
    assert line["ms"] > 0


@pytest.mark.parametrize("path", ["/", "/ui/app.js", "/v1/model", "/nothing"])
def test_every_response_has_the_security_headers(service: Service, path: str) -> None:
    headers = service.http.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "img-src 'self' blob: data:" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_the_model_is_described(service: Service) -> None:
    facts = service.http.get("/v1/model").json()
    assert (facts["name"], facts["version"], facts["run_id"], facts["network"]) == ("medexp", "1", "a" * 32, "tiny")
    assert (facts["classes"], facts["positive"], facts["threshold"]) == (["clear", "nodule"], "nodule", 0.5)
    assert facts["input"] == {"height": 16, "width": 16, "channels": 1, "fit": "letterbox"}
    assert facts["metrics"] == {"test_auc": 0.75}
    assert facts["data"] == {"name": "phantom", "digest": "d1", "synthetic": True}
    assert facts["engine"] == "litert"
    assert facts["accepts"]["max_bytes"] == 300_000


def test_openapi_names_the_form_and_the_problems(service: Service) -> None:
    schema = service.http.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/v1/predict", "/v1/model", "/health/live", "/health/ready"}
    responses = schema["paths"]["/v1/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "422", "503"}
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    assert all(responses[s]["content"] == {"application/problem+json": reference} for s in responses if s != "200")
    form = schema["components"]["schemas"]["Body_predict_v1_predict_post"]
    assert form["required"] == ["image"]


def test_many_clients_get_their_own_answers(service: Service, bundle: Path) -> None:
    opened = Bundle.open(bundle)
    images = [png((20 + n, 30), seed=n) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(service.predict, images))
    for image, answer in zip(images, answers, strict=True):
        assert answer.json()["probabilities"] == pytest.approx(opened.classify(image).probabilities, abs=1e-6)


def test_an_unexpected_failure_is_a_problem_with_an_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from serve.app import create_app
    from serve.settings import Settings

    app = create_app(Settings(tracking_uri=f"sqlite:///{tmp_path}/none.db"))

    @app.get("/boom")
    def boom() -> None:
        raise RuntimeError("secret detail")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/boom", headers={"X-Request-ID": "boom-1"})

    response = asyncio.run(ask())
    assert_problem(response, 500, "boom-1")
    assert "secret" not in response.text
    assert response.headers["x-frame-options"] == "DENY"


def test_the_champion_is_followed(bundle: Path, tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    registry = Registry(f"sqlite:///{store}", tmp_path / "artifacts")
    with serving(tmp_path / "service", tracking_uri=registry.uri) as service:
        # no store: alive, not ready, and nothing is created
        assert service.http.get("/health/live").json() == {"status": "alive"}
        service.wait_detail("There is no tracking store yet")
        advice = ("`python scripts/train.py`", "`python scripts/promote.py apply=true`")
        refused = service.predict(png())
        assert_problem(refused, 503, *advice)
        assert refused.headers["retry-after"]
        assert_problem(service.http.get("/v1/model"), 503, *advice)
        assert not store.exists()
        # a database that another process is about to fill is left alone
        sqlite3.connect(store).execute("CREATE TABLE half_made (x)").connection.close()
        service.wait_detail("being created")
        assert sqlite3.connect(store).execute("SELECT name FROM sqlite_master").fetchall() == [("half_made",)]
        store.unlink()
        # a version without the alias is not served, with it is
        first = registry.register(bundle, champion=False)
        service.wait_detail("No version of the model 'medexp' has the alias 'champion'")
        registry.appoint(first)
        service.wait_ready(first)
        # a second version takes over between two requests
        second = registry.register(variant(bundle, tmp_path / "v2", run_id="b" * 32), champion=False)
        statuses: list[tuple[int, str]] = []
        stop = threading.Event()

        def keep_asking() -> None:
            with httpx.Client(base_url=service.url, timeout=20) as client:
                while not stop.is_set():
                    answer = client.post("/v1/predict", files={"image": png()})
                    statuses.append((answer.status_code, answer.json()["model"]["run_id"]))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        registry.appoint(second)
        service.wait_ready(second)
        time.sleep(0.3)
        stop.set()
        asking.join()
        assert {status for status, _ in statuses} == {200}
        assert [run for run, _ in statuses] == sorted(run for run, _ in statuses)
        assert {run for _, run in statuses} == {"a" * 32, "b" * 32}
        # a broken third one is not
        broken = variant(bundle, tmp_path / "v3", run_id="c" * 32)
        (broken / "model.tflite").write_bytes(b"damaged")
        registry.appoint(registry.register(broken, champion=False))
        assert "was changed after it was written" in service.wait_detail("SHA-256")["warning"]
        assert service.predict(png()).json()["model"]["version"] == second
        # nor is the second one lost with the store
        store.rename(tmp_path / "gone.db")
        assert service.wait_detail("There is no tracking store")["model"]["version"] == second
        assert service.predict(png()).status_code == 200
        assert not store.exists()
        (tmp_path / "gone.db").rename(store)
        # who takes the alias away stops the service
        registry.appoint(None)
        service.wait_detail("No version of the model")
        assert_problem(service.predict(png()), 503, *advice)


def test_a_damaged_cache_is_fetched_again(registry: Registry, service: Service, tmp_path: Path) -> None:
    cache = Path(shutil.copytree(service.log.parent / "cache", tmp_path / "cache"))
    (graph,) = cache.rglob("model.tflite")
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2])
    with serving(tmp_path / "service", tracking_uri=registry.uri, cache=cache) as second:
        second.wait_ready("1")
        assert any("fetched again" in line["message"] for line in second.lines())
    assert graph.read_bytes() == whole
    assert [path.name for path in graph.parents[1].iterdir()] == [graph.parent.name]


def test_a_valid_cache_is_not_fetched_again(registry: Registry, service: Service) -> None:
    from serve.cache import BundleCache
    from serve.store import ModelStore
    from serve.version import Version

    def never(version: Version, folder: Path) -> Path:
        raise AssertionError("fetched")

    version = ModelStore(uri=registry.uri, name="medexp", alias="champion").resolve()
    assert BundleCache(service.log.parent / "cache").open(version, never).passport.run_id == "a" * 32
    with pytest.raises(RegistryError, match="Received: cache=/proc/none"):
        BundleCache(Path("/proc/none")).open(version, never)


def test_postgresql_is_a_store_too(bundle: Path, tmp_path: Path, postgres: str) -> None:
    with serving(tmp_path / "service", tracking_uri=postgres) as service:
        service.wait_detail("being created")
        registry = Registry(postgres, tmp_path / "artifacts")
        service.wait_ready(registry.register(bundle))
        assert service.predict(png()).status_code == 200
        assert "s3cret" not in service.log.read_text()


def test_neither_keras_nor_hydra_is_loaded(registry: Registry, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORBIDDEN, registry.uri, str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_wrong_settings_end_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("prot: 80\nrefresh_seconds: soon\n")
    environment = {
        **os.environ,
        "MEDEXP_SERVE_CONFIG": str(tmp_path / "mine.yaml"),
        "MEDEXP_SERVE_PORT": "99999",
        "MEDEXP_SERVE_TRACKING_URI": "postgres://me:s3cret@host/db",
        "MEDEXP_SERVE_MAX_BYTE": "1",
    }
    command = [sys.executable, "-m", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr
    for text in (
        "Unknown key. Received: 'prot'", "Did you mean 'port'?", "Received: 'soon'", "Received: '99999'",
        "Received: 'postgres://me:***@host/db'", "Did you mean 'MEDEXP_SERVE_MAX_BYTES'?",
    ):  # fmt: skip
        assert text in done.stderr


def test_the_page_in_a_real_browser(service: Service, tmp_path: Path, artifacts: Path) -> None:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    (good := tmp_path / "scan.png").write_bytes(png((48, 32), seed=5))
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:

        def text(name: str) -> str:
            return str(browser.find_element(By.ID, name).text)

        browser.get(service.url)
        wait_until(lambda: text("status") == "Model ready", seconds=10, what="the page")
        assert (text("model-name"), text("model-version"), text("run-id")) == ("medexp", "1 (champion)", "a" * 32)
        assert "not a medical device" in browser.page_source
        assert browser.find_element(By.ID, "synthetic").is_displayed()
        browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        assert browser.switch_to.active_element.get_attribute("id") == "file"

        browser.find_element(By.ID, "file").send_keys(str(good))
        wait_until(lambda: text("label"), seconds=10, what="the answer")
        answer = service.predict(good.read_bytes()).json()
        assert text("label") == answer["label"]
        for name, probability in answer["probabilities"].items():
            assert f"{name}\n{100 * probability:.1f} %" in text("probabilities")
        assert "threshold 50.0 %" in text("probabilities")
        assert browser.execute_script("return document.getElementById('preview').naturalWidth") == 48
        assert not browser.find_element(By.ID, "error").is_displayed()
        assert browser.get_log("browser") == []
        time.sleep(0.5)  # the bars grow
        browser.save_screenshot(str(artifacts / "serve.png"))

        browser.execute_script(DROP)
        wait_until(lambda: text("error"), seconds=10, what="the error")
        assert text("error").startswith("Not a readable image. Received: notes.png")
        assert not browser.find_element(By.ID, "label").is_displayed()

        requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        urls = {r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"}
        assert len(urls) >= 5
        assert all(url.startswith((service.url, "blob:" + service.url)) for url in urls)

        with serving(tmp_path / "new", tracking_uri=f"sqlite:///{tmp_path}/none.db") as new:
            browser.get(new.url)
            wait_until(lambda: "scripts/train.py" in text("reason"), seconds=20, what="the page to say what to run")
            assert text("status") == "No model is ready"
            assert not browser.find_element(By.ID, "model").is_displayed()
