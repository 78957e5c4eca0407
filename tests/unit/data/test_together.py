from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from medexp.data.together import read_together, write_together
from medexp.errors import DataError

CONTENT = np.array([hashlib.sha256(bytes([i])).hexdigest() for i in range(4)])


def test_sets_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "together.csv"
    write_together(path, [[(CONTENT[2], "c, d"), (CONTENT[0], "a")]])
    assert read_together(path, CONTENT).tolist() == ["1", "", "1", ""]


@pytest.mark.parametrize("text", ["", "image,split\na,train\n", None, "set,content\n1\n"])
def test_another_file_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "together.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r"data\.split\.together=null"):
        read_together(path, CONTENT)


def test_an_image_in_two_sets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "together.csv"
    write_together(path, [[(CONTENT[0], "a")], [(CONTENT[0], "a")]])
    with pytest.raises(DataError, match="two sets"):
        read_together(path, CONTENT)
