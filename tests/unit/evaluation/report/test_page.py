from __future__ import annotations

import base64
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluated import AUDIT, NAMES, SAID, evaluated, sections
from PIL import Image

from medexp.evaluation.evidence_file import read_evidence, write_evidence
from medexp.evaluation.report.write import write_report
from medexp.types import Task

EVIL = '<img src="http://example.org/x" onerror="alert(1)">&"\''
SHOWN = {
    "data": ["500", "pneumoniamnist.npz", "aaaa", "bbbb"],
    "audit": ["2 images stand in more than one split", "Accepted, 2 cases: the official split", "Clean: every file"],
    "configuration": ["resnet18; dropout 0.2", "random, seed 3", "AdamW; learning rate 0.001", "balanced sampling"],
    "training": ["best epoch by val_auc: 4 of 7", "learning rate"],
    "metrics": ["AUC", "2,000 resamples of 60 groups", "normal", "0.800", "0.770 to 0.830"],
    "calibration": ["Temperature scaling", "scale 0.710", "0.080", "0.030", "0.900 to 1.100"],
    "operating-point": ["sensitivity at least 0.95", "0.400", "0.960", "0.940", "2.0 %", "0.990", "reached"],
    "abstention": ["15.0 %", "6.0 %", "5.0 % was chosen", "as promised", "0.910"],
    "subgroups": ["sex: f", "worst", "30 groups", "0.670 to 0.730", "one value only"],
    "robustness": ["noise", "jpeg", "0.840", "0.81 to 0.87", "60 test images"],
    "saliency": ["Sanity check passed", "0.12", "Surest wrong", "test/0001", "97.0 %"],
    "bundle": ["litert", "served", "batch of 8", "20.5 ms", "0 of 32", "two constants are left as inputs", "ab" * 32],
    "model-card": ["radiologists", "the maintainers"],
    "tripod": ["27c", "BMJ 385:e078378"],
    "claim": ["44", "e240300"],
    "provenance": ["0123456789abcdef", "train.py data=pneumoniamnist", "keras 3.15.1", "a processor"],
}


@pytest.mark.parametrize("task", NAMES)
def test_the_page_needs_nothing_from_outside_and_runs_nothing(task: Task, written: Any, tmp_path: Path) -> None:
    page = written(evaluated(tmp_path, task))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert all(address.startswith("data:image/png;base64,") for address in page.attributes("src"))
    assert all(address.startswith("#") for address in page.attributes("href"))
    assert "default-src 'none'" in "".join(page.attributes("content"))
    assert "url(" not in page.html


def test_every_link_leads_somewhere_on_the_page(whole: Any, bare: Any) -> None:
    for page in (whole, bare):
        anchors = page.attributes("id")
        assert len(anchors) == len(set(anchors))
        assert {address.removeprefix("#") for address in page.attributes("href")} <= set(anchors)


@pytest.mark.parametrize("section", SHOWN)
def test_each_section_shows_what_was_found(section: str, whole: Any) -> None:
    text = whole.sections[section]
    assert [wanted for wanted in SHOWN[section] if wanted not in text] == []


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("audit", "The data was not audited"),
        ("training", "The history of the training is not on record"),
        ("calibration", "Not measured"),
        ("operating-point", "Not chosen"),
        ("abstention", "Not fitted"),
        ("subgroups", "Not compared"),
        ("robustness", "Not measured"),
        ("saliency", "Not drawn"),
        ("bundle", "There is no bundle"),
    ],
)
def test_what_was_not_done_is_said_not_made_up(section: str, says: str, bare: Any) -> None:
    text = bare.sections[section]
    assert says in text
    assert [shown for shown in SHOWN[section] if shown in text and any(c.isdigit() for c in shown)] == []


def test_names_are_text_not_markup(written: Any, tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    shown = [replace(s, key=EVIL, label=EVIL) for s in found.saliency.gallery["surest wrong"]]  # type: ignore[union-attr]
    found = replace(
        found,
        class_names=("normal", EVIL),
        data={**found.data, "name": EVIL, "source": EVIL},
        saliency=replace(found.saliency, gallery={"surest wrong": tuple(shown)}),  # type: ignore[type-var]
        pictures={EVIL: "roc.png"},
    )
    finding = {**AUDIT["findings"][0], "kind": EVIL, "summary": EVIL}
    page = written(found, card=dict.fromkeys(SAID, EVIL), audit={**AUDIT, "findings": [finding]}, config={"name": EVIL})
    assert EVIL not in page.html
    assert EVIL not in (tmp_path / "evaluation" / "model_card.md").read_text()
    assert page.text.count(EVIL) > 10


def test_no_password_no_place_and_nobody_is_named(whole: Any) -> None:
    for secret in ("pass-one", "pass-two", "pass-three", "/somewhere/outputs", "a-host-name", "a-user-name"):
        assert secret not in whole.html
    assert "https://someone:***@files/images" in whole.html


def test_pictures_are_in_the_page_bit_for_bit_each_in_its_section(written: Any, tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    where = tmp_path / "evaluation"
    titles = {
        "Reliability diagram": "calibration",
        "Decision curve": "operating-point",
        "Net benefit": "operating-point",
        "Subgroups": "subgroups",
        "Robustness": "robustness",
        "Coverage of conformal sets": "abstention",
        "ROC": "metrics",
        "Precision-recall": "metrics",
        "Something else": "metrics",
        "Curves of the training": "training",
        "Augmented images": "configuration",
    }
    for i in range(len(titles)):
        Image.new("L", (4, 4), i).save(where / f"{i}.png")
    page = written(replace(found, pictures={title: f"{i}.png" for i, title in enumerate(titles)}))
    for i, (title, section) in enumerate(titles.items()):
        content = base64.b64encode((where / f"{i}.png").read_bytes()).decode()
        assert f"data:image/png;base64,{content}" in page.attributes("src")
        assert title in page.sections[section]


def test_a_picture_that_is_missing_leaves_a_place_and_a_line_in_the_log(
    written: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = evaluated(tmp_path)
    (tmp_path / "evaluation" / "gallery" / "surest-wrong-0.png").unlink()
    with caplog.at_level(logging.WARNING):
        page = written(replace(found, pictures={"ROC": "gone.png"}))
    assert "This picture is missing" in page.sections["metrics"]
    assert "This picture is missing" in page.sections["saliency"]
    assert "gone.png" in caplog.text
    assert "surest-wrong-0.png" in caplog.text


def test_plots_of_the_run_are_shown_where_the_evaluation_has_none_of_its_own(written: Any, tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    (tmp_path / "plots").mkdir()
    for i, name in enumerate(("precision_recall.png", "augmentation.png", "roc.png")):
        Image.new("L", (4, 4), i).save(tmp_path / "plots" / name)
    page = written(found)
    assert "Precision and recall" in page.sections["metrics"]
    assert "Images as the augmentation makes them" in page.sections["configuration"]
    assert "ROC curves" not in page.text


def test_grey_levels_of_images_are_not_inverted_in_the_dark(written: Any, tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    (tmp_path / "plots").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "plots" / "augmentation.png")
    charts = [str(given["class"]) for tag, given in written(found).tags if tag == "figure"]
    assert charts.count("paper chart") == len(found.pictures)
    assert charts.count("paper") == 1 + 6


def test_what_was_read_back_from_json_gives_the_same_page(tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    first = write_report(found, folder=tmp_path, **sections()).read_text()
    write_evidence(found, tmp_path / "evaluation")
    again = read_evidence(tmp_path / "evaluation")
    assert write_report(again, folder=tmp_path, **sections()).read_text() == first


def test_a_metric_that_is_not_defined_is_a_dash(written: Any, tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    nan = float("nan")
    undefined = type(found.metrics["test"]["auc"])(nan, nan, nan)
    text = written(replace(found, metrics={"test": {"auc": undefined}})).sections["metrics"]
    assert "nan" not in text
    assert "–" in text


def test_in_a_browser_it_fits_a_phone_and_asks_for_nothing(browser: Any, tmp_path: Path) -> None:
    path = write_report(evaluated(tmp_path, "multilabel"), folder=tmp_path, **sections())
    for width in (390, 1280):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(path.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        images = "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
        assert browser.execute_script(images)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    asked = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert [message for message in asked if '"url":"http' in message] == []
