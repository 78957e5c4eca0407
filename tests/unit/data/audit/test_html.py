from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medexp.data.audit.findings import Acceptance
from medexp.data.audit.html import SHOWN
from medexp.data.audit.write import write_report
from medexp.types import InputSpec

EVIL = '<img src="http://example.org/x" onerror="alert(1)">&"\''


class Page(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def written(folder: Path, dataset: Any, report: Any) -> str:
    write_report(report, dataset, folder / "audit")
    assert sorted(path.name for path in (folder / "audit").iterdir()) == ["accept.yaml", "audit.html", "audit.json"]
    return (folder / "audit" / "audit.html").read_text()


@pytest.fixture
def leaky(scans: np.ndarray, make: Any) -> Any:
    keys = [f"{EVIL}{i}" for i in range(90)]
    splits = ["train"] * 50 + ["test"] * 10 + ["val"] * 30
    labels = np.arange(90) % 2
    return make(
        [*scans, *scans[:30]], labels, splits, classes=(EVIL, "ill"), keys=keys, metadata={EVIL: ["a", "b"] * 45}
    )


def test_the_page_needs_nothing_from_outside_and_runs_nothing(leaky: Any, audited: Any, tmp_path: Path) -> None:
    page = Page(written(tmp_path, leaky, audited(leaky, probe=True)))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:image/png;base64,").startswith("data:image/png;base64,")


def test_names_are_text_not_markup(leaky: Any, audited: Any, tmp_path: Path) -> None:
    assert EVIL not in written(tmp_path, leaky, audited(leaky, probe=True))


def test_pairs_are_shown_with_their_pictures_and_the_rest_is_counted(leaky: Any, audited: Any, tmp_path: Path) -> None:
    text = written(tmp_path, leaky, audited(leaky))
    pictures = [attributes for tag, attributes in Page(text).tags if tag == "img"]
    assert len(pictures) == 2 * SHOWN
    assert f"{30 - SHOWN} more, not shown here" in text
    assert all(attributes["class"] == "tiny" for attributes in pictures)
    assert len({attributes["src"] for attributes in pictures}) == SHOWN


def test_the_banner_says_whether_it_is_refused_accepted_or_clean(leaky: Any, audited: Any, tmp_path: Path) -> None:
    report = audited(leaky)
    kinds = {instance.kind for instance in report.refused}
    accept = [Acceptance(kind, tuple(i.id for i in report.refused if i.kind == kind), "known") for kind in kinds]
    assert "Not to be trained on" in written(tmp_path, leaky, report)
    text = written(tmp_path, leaky, audited(leaky, accept=accept))
    assert "Not to be trained on" not in text
    assert "<b>accepted</b>: known" in text
    assert "To accept exactly these" not in text


def test_what_can_only_be_mended_is_not_offered_for_acceptance(
    scans: np.ndarray, make: Any, audited: Any, tmp_path: Path
) -> None:
    made = make(scans, np.r_[np.arange(40) % 2, [0] * 20], ["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    text = written(tmp_path, made, audited(made))
    assert "Not to be trained on" in text
    assert "To accept exactly these" not in text


def test_sixteen_bits_and_images_that_cannot_be_read_are_shown_too(make: Any, audited: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images: list[Any] = list(rng.integers(0, 65536, (40, 8, 8), dtype=np.uint16))
    made = make(
        [*images, images[0], b"broken"],
        np.arange(42) % 2,
        ["train"] * 40 + ["val"] * 2,
        spec=InputSpec(8, 8, 1, bits=16),
    )
    text = written(tmp_path, made, audited(made))
    assert len(re.findall('<div class="blank">', text)) == 1
    assert len(re.findall("<img ", text)) == 2


def test_the_json_file_holds_what_the_page_leaves_out(leaky: Any, audited: Any, tmp_path: Path) -> None:
    written(tmp_path, leaky, audited(leaky))
    values = json.loads((tmp_path / "audit" / "audit.json").read_text())
    (across,) = [finding for finding in values["findings"] if finding["kind"] == "duplicates_across_splits"]
    assert len(across["instances"]) == 30


def test_a_browser_shows_the_page_without_asking_anybody(
    breast: Any, audited: Any, tmp_path: Path, browser: Any, artifacts: Path
) -> None:
    written(tmp_path, breast, audited(breast, probe=True))
    browser.get((tmp_path / "audit" / "audit.html").as_uri())
    assert browser.title == "Audit of made"
    assert not browser.get_log("browser")
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"]
    assert all(address.startswith(("file:", "data:")) for address in addresses)
    widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    broken = "return [...document.images].filter(image => !image.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    browser.save_screenshot(str(artifacts / "audit.png"))
