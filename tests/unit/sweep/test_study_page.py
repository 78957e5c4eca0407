"""Pictures and page of a study, looked at as far as a program can."""

from __future__ import annotations

import csv
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medexp.sweep.records import Record, State
from medexp.sweep.summary import write_pictures, write_table
from medexp.sweep.trial_table import TrialTable
from medexp.tracking.base import Child
from medexp.types import Objective

ONE = (Objective("val_auc", "max"),)
TWO = (*ONE, Objective("parameters", "min"))
NASTY = "'</script>&'"


def study(count: int, objectives: tuple[Objective, ...] = ONE) -> TrialTable:
    """A search that pruned and failed, with a conditional parameter and names that a page must escape."""
    chance = random.Random(0)
    records = []
    for index in range(count):
        state: State = chance.choices(["complete", "pruned", "failed"], [6, 3, 1])[0]
        rate = 10 ** chance.uniform(-5, -1)
        params = {"optimizer.learning_rate": repr(rate), "aug": chance.choice(["none", NASTY, "null"])}
        if index % 3:
            params["model.depth"] = str(chance.randint(1, 30))
        value = 1 - abs(math.log10(rate) + 3) / 5 + chance.gauss(0, 0.02)
        values = (value, 1e6 * chance.random()) if len(objectives) == 2 else (value,)
        records.append(
            Record(
                number=index, index=index, state=state, values=() if state == "failed" else values, params=params,
                overrides=tuple(f"{key}={text}" for key, text in params.items()), run_id=f"{index:032x}",
                error="MemoryError" if state == "failed" else None,
                reports={step: value - 0.1 / (step + 1) for step in range(3)},
            )
        )  # fmt: skip
    return TrialTable.of(records, objectives)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_pictures(study(40), folder, name=f"s {NASTY}", command="python scripts/train.py seed=1 'a=\"b\"'")
    return folder


def figures(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return list(json.loads(found[1]))


def test_there_is_a_picture_of_each_kind_and_none_is_empty(written: Path) -> None:
    names = {path.name for path in (written / "plots").iterdir()}
    assert names == {"history.png", "importances.png", "parallel_coordinates.png", "slices.png", "curves.png"}
    for name in names:
        pixels = np.asarray(Image.open(written / "plots" / name).convert("L"))
        assert (pixels < 200).mean() > 0.005, name


def test_the_page_needs_nothing_beside_it_and_has_plotly_once(written: Path) -> None:
    page = (written / "study.html").read_text()
    head = page.partition("<script>")[0]
    assert not re.search(r"(src|href)\s*=", head)
    assert page.count("plotly.js v") == 1
    assert page.count("</script>") == 3  # ours: none that a name brought along
    assert "python scripts/train.py seed=1 &#39;a=&#34;b&#34;&#39;" in page


def test_plotly_knows_all_that_the_figures_say(written: Path) -> None:
    from plotly.graph_objects import Figure

    found = figures((written / "study.html").read_text())
    assert len(found) == 1 + 1 + 1 + 3 + 1  # history, importances, parallel coordinates, slices, curves
    for figure in found:
        Figure(figure)
    (parallel,) = [figure for figure in found if figure["data"][0]["type"] == "parcoords"]
    assert [axis["label"] for axis in parallel["data"][0]["dimensions"]] == ["learning_rate", "aug", "depth", "val_auc"]
    assert {trace["name"] for trace in found[0]["data"]} == {
        "complete",
        "pruned (last report)",
        "failed",
        "best so far",
    }


def test_a_real_browser_draws_all_figures_without_an_error_or_a_request(written: Path, browser: Any) -> None:
    browser.get((written / "study.html").as_uri())
    browser.implicitly_wait(20)
    places = browser.find_elements("css selector", ".figure")
    assert len(places) == len(figures((written / "study.html").read_text()))
    for place in places:
        assert place.find_elements("css selector", "svg.main-svg, g.parcoords, .parcoords")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if url.startswith("http")] == []


def test_several_objectives_have_a_front_and_what_is_gone_leaves_no_picture(tmp_path: Path) -> None:
    write_pictures(study(30, TWO), tmp_path, name="two", command=None)
    assert (tmp_path / "plots" / "pareto.png").is_file()
    assert "Pareto front" in (tmp_path / "study.html").read_text()
    write_pictures(study(30), tmp_path, name="one", command=None)
    assert not (tmp_path / "plots" / "pareto.png").exists()


def test_one_trial_is_enough_for_a_page_which_says_why_there_are_no_importances(tmp_path: Path) -> None:
    one = Record(number=0, index=0, state="complete", values=(0.5,), params={"seed": "1"}, overrides=("seed=1",))
    write_pictures(TrialTable.of([one], ONE), tmp_path, name="one", command="x")
    assert "at least two complete trials" in (tmp_path / "study.html").read_text()
    assert "at least two complete trials" in (tmp_path / "importances.csv").read_text()
    write_pictures(TrialTable.of([], ONE), tmp_path, name="none", command=None)
    assert "No trial has a result yet" in (tmp_path / "study.html").read_text()


def test_the_table_has_every_trial_by_index_and_the_metrics_of_its_run(tmp_path: Path) -> None:
    table = study(20)
    child = Child(f"{3:032x}", "x", "FINISHED", "", {"test_auc": 0.75})
    with write_table(table, tmp_path / "trials.csv", children={child.run_id: child}).open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == list(range(20))
    assert rows[3]["run/test_auc"] == "0.75"
    assert rows[4]["run/test_auc"] == ""
    for row, record in zip(rows, table.records, strict=True):
        assert row["state"] == record.state
        assert row["optimizer.learning_rate"] == record.params["optimizer.learning_rate"]
        assert row["val_auc"] == (str(record.values[0]) if record.values else "")
