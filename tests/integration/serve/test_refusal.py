"""What the service says where an answer is not to be relied on, and which versions it does not serve at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Registry, Service, assert_problem, in_a_process, png, serving, variant
from support import wait_until

from medexp.registry.bundle import Bundle
from medexp.registry.checksum import sha256
from medexp.registry.passport import read_passport, write_passport
from serve.answers import Prediction
from serve.champion import Served
from serve.version import Version

BLANK = png((40, 40))  # larger noise is smoother once it is resized: unlike what the model has learnt from


def test_an_answer_says_what_is_possible_and_how_strange_the_image_is(service: Service, bundle: Path) -> None:
    opened = Bundle.open(bundle)
    refused = set()
    for data in (png(), png(seed=4), BLANK):
        wanted, answer = opened.classify(data), service.predict(data).json()
        assert answer["possible"] == list(wanted.possible)
        assert answer["undecided"] == list(wanted.undecided)
        assert answer["refused"] == wanted.strange
        assert answer["strangeness"] == pytest.approx(wanted.strangeness, rel=1e-4)
        assert answer["strangeness_limit"] == opened.passport.strangeness.threshold
        assert (answer["strangeness"] > answer["strangeness_limit"]) == answer["refused"]
        assert (answer["coverage"], answer["map"]) == (0.9, None)
        refused.add(answer["refused"])
    assert refused == {True, False}, "an example that shows nothing"


def test_a_limit_that_validation_was_too_small_for_is_null_and_no_infinity(bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    passport = read_passport(path)
    write_passport(path, replace(passport, strangeness=replace(passport.strangeness, threshold=float("inf"))))
    opened = Bundle.open(path)
    answer = Prediction.of(opened.classify(png()), Served(Version("medexp", "1", "champion", "m-1"), opened), "1")
    assert answer.strangeness_limit is None


def test_the_activation_map_comes_on_demand(service: Service, bundle: Path) -> None:
    answer = service.predict(png(), params={"explain": "true"}).json()
    wanted = Bundle.open(bundle).classify(png(), explain=True).map
    assert wanted is not None
    assert list(answer["map"]) == ["nodule"]
    assert answer["map"]["nodule"] == pytest.approx(wanted[..., 0], rel=1e-4)


def test_a_wrong_question_is_told_what_it_may_be(service: Service) -> None:
    problem = assert_problem(service.predict(png(), params={"explain": "perhaps"}), 422, "query.explain")
    assert "image is missing" not in problem["detail"]


@pytest.mark.slow
def test_a_version_that_answers_otherwise_than_it_did_is_not_served(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "bundle"
    in_a_process(
        "import sys; from pathlib import Path; from bundles import export_tiny; export_tiny(Path(sys.argv[1]), seed=8)",
        str(other),
    )
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts")
    good = registry.register(bundle)
    with serving(tmp_path / "service", tracking_uri=registry.uri) as service:
        service.wait_ready(good)
        swapped = Path(shutil.copytree(bundle, tmp_path / "swapped" / "bundle"))
        shutil.copy(other / "model.tflite", swapped)
        files = {**read_passport(swapped).files, "model.tflite": sha256(swapped / "model.tflite")}
        registry.register(variant(swapped, tmp_path / "v2", files=files))
        state = service.wait_detail("does not answer here as it did")
        assert state["model"]["version"] == good
        assert service.predict(png()).status_code == 200


@pytest.fixture(scope="module")
def doubtful(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose model can rule no class out."""
    folder = tmp_path_factory.mktemp("doubtful")
    conformal = replace(read_passport(bundle).conformal, limits={"clear": 0.0, "nodule": 0.0})
    registry = Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    version = registry.register(variant(bundle, folder / "v1", conformal=conformal))
    with serving(folder / "service", tracking_uri=registry.uri) as service:
        service.wait_ready(version)
        yield service


def shown(service: Service, browser: Any, image: bytes, folder: Path) -> dict[str, Any]:
    """Choose an image on the page; return what is seen by id, "" where it is not."""
    from selenium.webdriver.common.by import By

    (file := folder / "scan.png").write_bytes(image)
    browser.get(service.url)
    wait_until(lambda: browser.find_element(By.ID, "status").text == "Model ready", seconds=10, what="the page")
    browser.find_element(By.ID, "file").send_keys(str(file))
    wait_until(lambda: browser.find_element(By.ID, "label").text, seconds=10, what="the answer")
    assert browser.get_log("browser") == []
    return {name: browser.find_element(By.ID, name).text for name in ("refused", "sure", "label")}


def test_the_page_says_in_plain_words_that_it_is_not_sure(
    doubtful: Service, browser: Any, tmp_path: Path, artifacts: Path
) -> None:
    found = shown(doubtful, browser, png(), tmp_path)
    assert found["refused"] == ""
    assert found["sure"].startswith("Not sure: it may be clear or nodule. Have a person look.")
    assert "at least 90 % keep their true class" in found["sure"]
    browser.save_screenshot(str(artifacts / "serve_unsure.png"))


def test_the_page_says_in_plain_words_that_an_image_is_strange(
    service: Service, browser: Any, tmp_path: Path, artifacts: Path
) -> None:
    found = shown(service, browser, BLANK, tmp_path)
    assert found["refused"] == "This image is unlike those that the model has learnt from. Do not use its answer."
    assert found["sure"] == ""
    spoken = browser.execute_script("return document.getElementById('spoken').textContent")
    assert "Do not use its answer" in spoken
    browser.save_screenshot(str(artifacts / "serve_strange.png"))


def test_page_and_model_say_that_nothing_is_refused_where_no_limit_could_be_chosen(
    bundle: Path, browser: Any, tmp_path: Path
) -> None:
    strangeness = replace(read_passport(bundle).strangeness, threshold=float("inf"))
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts")
    version = registry.register(variant(bundle, tmp_path / "v1", strangeness=strangeness))
    with serving(tmp_path / "service", tracking_uri=registry.uri) as service:
        service.wait_ready(version)
        assert service.http.get("/v1/model").json()["strangeness_limit"] is None
        assert "cannot tell strange images and refuses none" in shown(service, browser, png(), tmp_path)["sure"]
