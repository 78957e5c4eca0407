"""The whole way on real images: train, promote, serve as a process, ask over HTTP and in a browser."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import serving
from support import Script, wait_until


@dataclass(frozen=True)
class Served:
    """A champion that was trained on real images, and the address of the process that serves it."""

    url: str
    run: Path
    images: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def served(script: Script, medmnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("e2e")
    outputs = folder / "outputs"
    trained = script("train", "experiment=pneumonia_baseline", "trainer.max_epochs=2", f"paths.outputs={outputs}")
    assert trained.returncode == 0, trained.stderr
    refused = script("promote", f"paths.outputs={outputs}", "apply=true")
    assert "does not pass: audit" in refused.stderr  # of the published split eight images are in train and val
    reason = "reason='a demonstration, after two epochs'"
    promoted = script("promote", f"paths.outputs={outputs}", "apply=true", "waive=[audit]", reason)
    assert "Version 1 of medexp is champion" in promoted.stdout, promoted.stderr
    (run,) = (outputs / "runs").iterdir()
    with np.load(medmnist / "pneumoniamnist.npz") as file:
        images, labels = file["test_images"], file["test_labels"][:, 0]
    with serving(folder, tracking_uri=f"sqlite:///{outputs}/mlflow.db") as service:
        service.wait_ready("1")
        yield Served(service.url, run, images, labels)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_the_service_says_what_the_training_pipeline_says(served: Served) -> None:
    with (served.run / "predictions" / "test.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    for index in range(0, len(served.images), 40):
        row = rows[f"test/{index:06d}"]
        answer = httpx.post(
            f"{served.url}/v1/predict", files={"image": ("x.png", encoded(served.images[index]))}
        ).json()
        for name in ("normal", "pneumonia"):
            assert answer["probabilities"][name] == pytest.approx(float(row[f"p({name})"]), abs=1e-5)
        assert answer["label"] == row["decision"]
        assert answer["model"]["run_id"] == served.run.name


def test_bytes_that_must_be_resized_give_what_keras_gives(served: Served) -> None:
    import keras

    from medexp.imaging.read import read
    from medexp.registry.bundle import Bundle

    passport = Bundle.open(served.run / "bundle").passport
    model = keras.saving.load_model(served.run / "bundle" / "model.keras", compile=False, safe_mode=True)
    large = Image.fromarray(served.images[0]).resize((310, 222), Image.Resampling.BICUBIC)
    for data in (encoded(np.asarray(large), "JPEG"), encoded(np.asarray(large.convert("RGB")), "PNG")):
        answer = httpx.post(f"{served.url}/v1/predict", files={"image": ("x", data)}).json()
        wanted = model.predict(read(data, passport.input).pixels[None], verbose=0)[0]
        assert list(answer["probabilities"].values()) == pytest.approx(wanted.tolist(), abs=1e-5)


def test_the_model_is_described_with_its_run(served: Served) -> None:
    described = httpx.get(f"{served.url}/v1/model").json()
    result = json.loads((served.run / "result.json").read_text())
    assert result["run_id"] in json.dumps(described)
    assert described["positive"] == "pneumonia"
    assert "SYNTHETIC" not in json.dumps(described)


def test_a_person_sees_the_prediction_in_the_page(
    served: Served, browser: Any, tmp_path: Path, artifacts: Path
) -> None:
    from selenium.webdriver.common.by import By

    index = int(np.flatnonzero(served.labels == 1)[0])
    (scan := tmp_path / "scan.png").write_bytes(encoded(served.images[index]))
    answer = httpx.post(f"{served.url}/v1/predict", files={"image": ("x.png", scan.read_bytes())}).json()
    browser.get(served.url)
    wait_until(lambda: browser.find_element(By.ID, "run-id").text, seconds=15, what="the model's run id")
    assert browser.find_element(By.ID, "run-id").text == served.run.name
    assert browser.find_element(By.ID, "model-name").text == "medexp"
    assert browser.find_element(By.ID, "model-version").text.startswith("1")
    browser.find_element(By.ID, "file").send_keys(str(scan))
    wait_until(lambda: browser.find_element(By.ID, "label").text, seconds=15, what="the prediction")
    assert browser.find_element(By.ID, "label").text == answer["label"]
    shown = browser.find_element(By.ID, "probabilities").text
    assert f"{100 * answer['probabilities']['pneumonia']:.1f} %" in shown
    assert browser.get_log("browser") == []
    time.sleep(0.6)  # the bars grow
    assert browser.save_screenshot(str(artifacts / "page.png"))
