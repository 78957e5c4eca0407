"""Findings and grades: served, described, and shown in a real browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import Registry, Service, in_a_process, png, serving
from support import wait_until

from medexp.registry.bundle import Bundle

EXPORT = """
import json, sys
from pathlib import Path
from bundles import export, network, spec, with_thresholds
for task, names, thresholds in json.loads(sys.argv[2]):
    data = spec(task, class_names=names)
    path = Path(sys.argv[1]) / task / "model" / "bundle"
    export(path, network(data), data, operating_point=with_thresholds(thresholds))
"""
FINDINGS = [
    "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax",
    "consolidation", "edema", "emphysema", "fibrosis", "pleural thickening of both sides", "constructor",
]  # fmt: skip
GRADES = ["4", "2", "10", "moderate", "worst"]  # names whose order is neither the alphabet's nor JavaScript's


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each task; of the multi-label one every finding has a threshold of its own."""
    folder = tmp_path_factory.mktemp("exported")
    thresholds = {name: 0.2 + 0.05 * i for i, name in enumerate(FINDINGS)}
    wanted = json.dumps([("multilabel", FINDINGS, thresholds), ("ordinal", GRADES, {})])
    in_a_process(EXPORT, str(folder), wanted)
    return {task: folder / task / "model" / "bundle" for task in ("multilabel", "ordinal")}


@contextmanager
def served(bundle: Path, folder: Path) -> Iterator[tuple[Service, Bundle]]:
    registry = Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    version = registry.register(bundle)
    with serving(folder / "service", tracking_uri=registry.uri) as service:
        service.wait_ready(version)
        yield service, Bundle.open(bundle)


@pytest.fixture(scope="module")
def findings(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Bundle]]:
    """A multi-label model, served."""
    with served(bundles["multilabel"], tmp_path_factory.mktemp("findings")) as found:
        yield found


@pytest.fixture(scope="module")
def grades(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Bundle]]:
    """An ordinal model, served."""
    with served(bundles["ordinal"], tmp_path_factory.mktemp("grades")) as found:
        yield found


def test_findings_are_those_that_reach_their_own_thresholds(findings: tuple[Service, Bundle]) -> None:
    service, bundle = findings
    answer = service.predict(png()).json()
    expected = bundle.classify(png())
    assert answer["probabilities"] == pytest.approx(dict(expected.probabilities), abs=1e-6)
    assert answer["thresholds"] == pytest.approx({name: 0.2 + 0.05 * i for i, name in enumerate(FINDINGS)})
    reached = [name for name in FINDINGS if answer["probabilities"][name] >= answer["thresholds"][name]]
    assert answer["labels"] == reached == list(expected.labels)
    assert 1 < len(reached) < len(FINDINGS), "an example that shows nothing"
    assert (answer["task"], answer["classes"]) == ("multilabel", FINDINGS)
    assert (answer["label"], answer["positive"], answer["threshold"]) == (None, None, None)


def test_the_grade_is_the_most_probable_one_and_probabilities_add_up(grades: tuple[Service, Bundle]) -> None:
    service, _ = grades
    answer = service.predict(png()).json()
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["label"] == max(GRADES, key=answer["probabilities"].__getitem__)
    assert (answer["labels"], answer["classes"], answer["thresholds"]) == ([answer["label"]], GRADES, {})
    assert (answer["task"], answer["positive"], answer["threshold"]) == ("ordinal", None, None)


def test_a_model_of_each_task_is_described(findings: tuple[Service, Bundle], grades: tuple[Service, Bundle]) -> None:
    many, ordered = (service.http.get("/v1/model").json() for service, _ in (findings, grades))
    assert (many["task"], many["classes"], set(many["thresholds"])) == ("multilabel", FINDINGS, set(FINDINGS))
    assert (ordered["task"], ordered["classes"], ordered["thresholds"]) == ("ordinal", GRADES, {})
    assert (many["positive"], many["threshold"], ordered["threshold"]) == (None, None, None)
    schema = findings[0].http.get("/openapi.json").json()["components"]["schemas"]
    for name in ("Prediction", "ModelFacts"):
        assert schema[name]["properties"]["task"]["enum"] == ["binary", "multiclass", "multilabel", "ordinal"]


def rows(browser: Any) -> list[tuple[str, str, bool, str | None]]:
    """Name, value, whether marked as found, and what the scale says, from top to bottom."""
    script = """return [...document.querySelectorAll("#probabilities li")].map((row) => [
        row.querySelector(".name").textContent, row.querySelector(".value").textContent,
        row.classList.contains("chosen"), row.querySelector(".scale")?.textContent ?? null])"""
    return [tuple(row) for row in browser.execute_script(script)]


def shown(service: Service, browser: Any, folder: Path) -> dict[str, Any]:
    """Choose an image on the page; return what the API says of it."""
    from selenium.webdriver.common.by import By

    (image := folder / "scan.png").write_bytes(png())
    browser.get(service.url)
    wait_until(lambda: browser.find_element(By.ID, "status").text == "Model ready", seconds=10, what="the page")
    browser.find_element(By.ID, "file").send_keys(str(image))
    wait_until(lambda: browser.find_element(By.ID, "label").text, seconds=10, what="the answer")
    time.sleep(0.5)  # the bars grow
    assert browser.get_log("browser") == []
    return dict(service.predict(image.read_bytes()).json())


def text(browser: Any, name: str) -> str:
    return str(browser.execute_script(f"return document.getElementById({name!r}).textContent"))


def test_the_page_shows_findings_and_the_threshold_of_each(
    findings: tuple[Service, Bundle], browser: Any, tmp_path: Path, artifacts: Path
) -> None:
    service, _ = findings
    answer = shown(service, browser, tmp_path)
    browser.save_screenshot(str(artifacts / "serve_findings.png"))
    found = answer["labels"]
    assert text(browser, "label") == ", ".join(found)
    assert text(browser, "decision") == f"{len(found)} of 14 classes reach their own thresholds."
    assert text(browser, "spoken").startswith(f": {', '.join(found)}. ")
    by = answer["probabilities"].__getitem__
    order = [*sorted(found, key=by, reverse=True), *sorted(set(FINDINGS) - set(found), key=by, reverse=True)]
    assert rows(browser) == [
        (name, f"{100 * by(name):.1f} %", name in found, f"threshold {100 * answer['thresholds'][name]:.1f} %")
        for name in order
    ]
    browser.set_window_size(500, 1500)
    browser.save_screenshot(str(artifacts / "serve_findings_narrow.png"))
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    overlaps = """return [...document.querySelectorAll("#probabilities li")].some((row) => {
        const words = document.createRange();
        words.selectNodeContents(row.querySelector(".name"));
        const end = Math.max(...[...words.getClientRects()].map((line) => line.right));
        return end > row.querySelector(".scale").getBoundingClientRect().left;
    })"""
    assert not browser.execute_script(overlaps)


def test_the_page_shows_grades_in_their_order(
    grades: tuple[Service, Bundle], browser: Any, tmp_path: Path, artifacts: Path
) -> None:
    service, _ = grades
    answer = shown(service, browser, tmp_path)
    browser.save_screenshot(str(artifacts / "serve_grades.png"))
    assert text(browser, "label") == answer["label"]
    place = GRADES.index(answer["label"]) + 1
    assert text(browser, "decision") == f"The most probable grade: number {place} of 5, from 4 to worst."
    assert rows(browser) == [
        (name, f"{100 * answer['probabilities'][name]:.1f} %", name == answer["label"], None) for name in GRADES
    ]
