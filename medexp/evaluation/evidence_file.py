"""`evaluation/evaluation.json`: the evidence of a run, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medexp.errors import DataError
from medexp.evaluation.evidence import Evidence

FOLDER, FILE = "evaluation", "evaluation.json"


def write_evidence(evidence: Evidence, folder: Path) -> Path:
    """Write `evaluation.json` into `folder`; JSON has no infinity and no NaN: they are texts, `"NaN"`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(json.dumps(_strict(asdict(evidence)), indent=2, allow_nan=False) + "\n")
    return path


def read_evidence(folder: Path) -> Evidence:
    """Return what `write_evidence` wrote (or DataError: there is none, or it is of another version)."""
    from pydantic import TypeAdapter, ValidationError

    path = folder / FILE
    try:
        return TypeAdapter(Evidence).validate_python(json.loads(path.read_text()))
    except OSError as error:
        raise DataError(f"There is no evaluation here ({error.strerror}). Received: {path}.") from error
    except (ValueError, ValidationError) as error:
        raise DataError(f"The evaluation cannot be read. Received: {path}. Evaluate the run again") from error


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
