"""What is served while champions, stores, caches and settings change."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving import Registry, Service, assert_problem, png, serving, variant
from support import ROOT

from medexp.errors import RegistryError

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
    assert {path.name for path in graph.parents[1].iterdir()} == {".lock", graph.parent.name}


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


@pytest.mark.slow
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


def test_several_services_share_a_cache(registry: Registry, tmp_path: Path) -> None:
    from serve.cache import BundleCache
    from serve.store import ModelStore

    store = ModelStore(uri=registry.uri, name="medexp", alias="champion")
    version = store.resolve()
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        with ThreadPoolExecutor(3) as pool:
            opened = list(pool.map(lambda _, at=folder: BundleCache(at).open(version, store.download), range(3)))
        assert {bundle.passport.run_id for bundle in opened} == {"a" * 32}


def test_a_version_that_stays_broken_keeps_its_own_reason(bundle: Path, tmp_path: Path) -> None:
    from serve.cache import BundleCache
    from serve.champion import Champion
    from serve.store import ModelStore

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    registry = Registry(uri, tmp_path / "artifacts")
    store = ModelStore(uri=uri, name="medexp", alias="champion")
    champion = Champion(store, BundleCache(tmp_path / "cache"), refresh_seconds=60)
    good = registry.register(bundle)
    champion.state = champion.look()
    broken = variant(bundle, tmp_path / "v2", run_id="c" * 32)
    (broken / "model.tflite").write_bytes(b"damaged")
    bad = registry.register(broken)
    champion.state = champion.look()
    registry.appoint(good)
    champion.state = champion.look()
    assert champion.state.problem is None
    registry.appoint(bad)
    assert "was changed after it was written" in str(champion.look().problem)
