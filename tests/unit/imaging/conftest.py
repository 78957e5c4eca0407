from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import ROOT


@pytest.fixture(scope="session")
def red_cells() -> Path:
    """The folder that holds `manifest.csv` and `images/<class>/` of red blood cells."""
    for folder in (os.environ.get("MEDEXP_DATA_DIR"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "red_cells" / "manifest.csv").is_file():
            return Path(folder).absolute() / "red_cells"
    pytest.skip("no real images: red_cells/manifest.csv is neither in $MEDEXP_DATA_DIR nor in ../shared/data")
