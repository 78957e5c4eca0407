from __future__ import annotations

import pytest
from rich.table import Table

from medexp.console import wide_console


def test_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("class")
    table.add_row("data.classes=[mild] [/b]")
    wide_console().print(table)
    wide_console().print("lesion [left] [/i]", style="bold")
    text = capsys.readouterr().out
    assert "data.classes=[mild] [/b]" in text
    assert "lesion [left] [/i]" in text
