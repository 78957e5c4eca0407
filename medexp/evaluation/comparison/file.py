"""`comparison.json`: a comparison for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from medexp.evaluation.comparison.comparison import Comparison

FILE, PAGE, PICTURE = "comparison.json", "comparison.html", "forest.png"


def write_comparison(found: Comparison, path: Path) -> Path:
    """Write all numbers of a comparison; its folder exists."""
    path.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    return path
