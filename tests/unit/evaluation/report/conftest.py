"""A written report, read as a browser would."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaluated import evaluated, nothing, sections

from medexp.evaluation.evidence import Evidence
from medexp.evaluation.report.write import write_report

_VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Every tag with its attributes, and the text of each section."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self._open = ""
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self._silent += tag == "style"
        if tag == "section":
            self._open = str(found["id"])

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag == "style"

    def handle_data(self, data: str) -> None:
        if self._open and not self._silent:
            self.sections[self._open] = " ".join(f"{self.sections.get(self._open, '')} {data}".split())

    @property
    def text(self) -> str:
        return " ".join(self.sections.values())

    def attributes(self, name: str) -> list[str]:
        return [str(found[name]) for _, found in self.tags if name in found]


Written = Callable[..., Page]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of a run that has everything on record."""
    folder = tmp_path_factory.mktemp("whole")
    return Page(write_report(evaluated(folder), folder=folder, **sections()).read_text())


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of a run that was measured, and has nothing else on record."""
    folder = tmp_path_factory.mktemp("bare")
    missing = ("calibration", "operating", "subgroups", "robustness", "abstention", "saliency")
    found = evaluated(folder, **dict.fromkeys(missing), pictures={})
    return Page(write_report(found, folder=folder, **nothing()).read_text())


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write the report of an evaluation, or of a small one, and read it; keywords are those of `write_report`."""

    def write(found: Evidence | None = None, **changes: Any) -> Page:
        if found is None:
            found = evaluated(tmp_path)
        path = write_report(found, folder=tmp_path, **sections(**changes))
        assert path == tmp_path / "evaluation" / "report.html"
        return Page(path.read_text())

    return write
