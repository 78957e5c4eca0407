from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from evaluated import evaluated

from medexp.errors import DataError
from medexp.evaluation.evidence_file import FILE, read_evidence, write_evidence


def test_what_was_written_is_read(tmp_path: Path) -> None:
    evidence = evaluated(tmp_path)
    write_evidence(evidence, tmp_path)
    assert read_evidence(tmp_path) == evidence


def test_what_is_no_number_is_still_json(tmp_path: Path) -> None:
    evidence = evaluated(tmp_path)
    assert evidence.abstention is not None
    path = write_evidence(replace(evidence, abstention=replace(evidence.abstention, threshold=math.inf)), tmp_path)

    def refuse(text: str) -> None:
        pytest.fail(f"no JSON: {text}")

    json.loads(path.read_text(), parse_constant=refuse)
    read = read_evidence(tmp_path).abstention
    assert read is not None
    assert read.threshold == math.inf


def test_an_evaluation_that_is_not_there_or_is_none_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no evaluation here"):
        read_evidence(tmp_path)
    (tmp_path / FILE).write_text('{"run_id": 1}')
    with pytest.raises(DataError, match="Evaluate the run again"):
        read_evidence(tmp_path)
