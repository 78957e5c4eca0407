"""What a person sees of a comparison."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from compared import Bench
from PIL import Image

from medexp.evaluation.comparison.compare import Design, compare_variants
from medexp.evaluation.comparison.comparison import Comparison
from medexp.evaluation.comparison.file import write_comparison
from medexp.evaluation.comparison.forest import draw_forest
from medexp.evaluation.comparison.html import write_html
from medexp.evaluation.comparison.table import print_comparison


@pytest.fixture(scope="module")
def found() -> Comparison:
    bench = Bench(0, images=500)
    variants = [
        bench.variant("model=a <b>", runs=2, noise=0.3),
        bench.variant("model=b", noise=1.5, chosen=True),
        bench.variant("model=c", noise=1.6),
    ]
    design = Design("auc", resamples=300, rope=0.005, margin=0.02)
    return compare_variants(variants, design, data="chests", digest="0123456789abcdef")


def test_the_terminal_shows_scores_comparisons_conclusions_and_warnings(
    found: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(found, top=20)
    shown = capsys.readouterr().out
    assert "Test auc (larger is better) on chests: 500 images; 95% intervals, 300 bootstrap samples by image" in shown
    assert "model=b * " in shown
    assert "* the best by validation" in shown
    assert "model=a <b>-0 and 1 more" in shown
    for text in (*found.conclusions, *found.warnings):
        assert " ".join(text.split()) in " ".join(shown.split())
    beaten = next(line for line in shown.splitlines() if line.lstrip().startswith("model=c") and "better" in line)
    assert "< 0.0001" in beaten
    assert "The page has 1 more" in shown


def test_no_number_is_cut_in_a_narrow_terminal(
    found: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_comparison(found, top=20)
    assert "…" not in capsys.readouterr().out


def test_the_page_needs_nothing_beside_it_and_shows_all_comparisons(found: Comparison, tmp_path: Path) -> None:
    draw_forest(found, tmp_path / "forest.png")
    write_html(found, forest=tmp_path / "forest.png", path=tmp_path / "page.html", where={"sweep": "a-sweep"})
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert "model=a &lt;b&gt;" in page
    assert "model=a <b>" not in page
    for pair in found.pairs:
        assert f"{pair.found.advantage.value:.4f} [{pair.found.advantage.low:.4f}" in page
    assert page.count('class="won"') == page.count('class="lost"') == sum(p.verdict == "better" for p in found.pairs)
    assert "0123456789abcdef" in page
    assert "a-sweep" in page


def test_the_forest_plot_grows_with_the_variants(found: Comparison, tmp_path: Path) -> None:
    draw_forest(found, tmp_path / "three.png")
    bench = Bench(1)
    many = compare_variants([bench.variant(f"v{i}") for i in range(12)], Design("auc", resamples=200), data="d")
    draw_forest(many, tmp_path / "twelve.png")
    alone = compare_variants([bench.variant("v")], Design("auc", resamples=200), data="d")
    draw_forest(alone, tmp_path / "one.png")
    sizes = [Image.open(tmp_path / f"{name}.png").size for name in ("one", "three", "twelve")]
    assert sizes[0][1] < sizes[1][1] < sizes[2][1]
    assert sizes[0][0] < sizes[1][0]


def test_the_file_holds_every_number(found: Comparison, tmp_path: Path) -> None:
    saved = json.loads(write_comparison(found, tmp_path / "comparison.json").read_text())
    assert len(saved["pairs"]) == 3
    assert saved["pairs"][0]["found"]["difference"] == vars(found.pairs[0].found.difference)
    assert saved["variants"][0]["run_ids"] == list(found.variants[0].run_ids)


def test_a_reference_that_lost_is_shown_as_behind(found: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(replace(found, reference="model=c"), top=20)
    shown = capsys.readouterr().out
    assert "model=c against" in shown
    row = next(line for line in shown.splitlines() if line.lstrip().startswith("model=a") and "[-" in line)
    assert "worse" in row
