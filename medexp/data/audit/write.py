"""The files of an audit."""

from __future__ import annotations

import json
from pathlib import Path

from medexp.data.audit.html import write_html
from medexp.data.audit.overrides import accept_yaml
from medexp.data.audit.report import AuditReport
from medexp.data.dataset import Dataset


def write_report(report: AuditReport, dataset: Dataset, folder: Path) -> None:
    """Write `audit.html`, `audit.json` and `accept.yaml` into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_html(report, dataset, folder / "audit.html")
    write_json(report, folder / "audit.json")
    (folder / "accept.yaml").write_text(accept_yaml(report.refused), encoding="utf-8")


def write_json(report: AuditReport, path: Path) -> None:
    """Write everything that was found."""
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
