"""`result.json`: that it is there says that a run has all its results; only its end may still be missing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from medexp.config.saved import RESULT
from medexp.training.whole_file import write_whole
from medexp.types import RunResult


def write_result(result: RunResult) -> Path:
    """Write the result into the run's folder, whole and on the disk when the call returns."""
    text = json.dumps(asdict(result), indent=2, default=str) + "\n"
    write_whole(path := result.run_dir / RESULT, lambda file: file.write(text.encode()))
    return path


def read_result(folder: Path) -> RunResult | None:
    """Return the result of the run in `folder`, wherever that is now; None where it has none that can be read."""
    from pydantic import TypeAdapter

    try:
        result = TypeAdapter(RunResult).validate_python(json.loads((folder / RESULT).read_text()))
    except (OSError, ValueError):
        return None
    return replace(result, run_dir=folder, bundle=None if result.bundle is None else folder / result.bundle.name)
