"""Files that give no image, as the real reader finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medexp.data.audit.files import unreadable_files
from medexp.data.cache.open import PixelCache
from medexp.data.source import Files
from medexp.types import InputSpec


def test_an_empty_file_is_told_from_one_that_is_missing_cannot_be_opened_or_is_damaged(
    make: Any, tmp_path: Path
) -> None:
    names = ("whole", "empty", "missing", "folder", "damaged")
    paths = [tmp_path / f"{name}.png" for name in names]
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(paths[0])
    paths[1].touch()
    paths[3].mkdir()
    paths[4].write_bytes(b"no image")
    spec, images = InputSpec(8, 8, 1), Files(paths)
    cache = PixelCache(tmp_path / "cache", max_bytes=1e9, workers=1)
    prepared = cache.open(images, origin="here", input=spec, any_depth=False)
    made = make([np.zeros((8, 8), np.uint8)] * 5, np.zeros(5, int), ["train"] * 5, keys=names)
    read = replace(made, pixels=prepared.pixels, facts=prepared.facts)
    findings = {finding.kind: finding for finding in unreadable_files(read)}
    assert [instance.tokens for instance in findings["empty_file"].instances] == [("empty",)]
    assert findings["empty_file"].summary == "1 file is empty."
    unreadable = {instance.images[0].key: instance for instance in findings["unreadable"].instances}
    assert list(unreadable) == ["missing", "folder", "damaged"]
    assert unreadable["missing"].tokens == ("missing",)
    assert unreadable["damaged"].tokens == (prepared.facts.content[4][:16],)
    assert "No such file" in unreadable["missing"].text
