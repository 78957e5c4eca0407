"""The files of an audit."""

from __future__ import annotations

import json
from pathlib import Path

from medexp.data.audit.alike import alike_sets
from medexp.data.audit.html import write_html
from medexp.data.audit.overrides import accept_yaml
from medexp.data.audit.report import AuditReport
from medexp.data.dataset import Dataset
from medexp.data.together import write_together

TOGETHER = "together.csv"


def write_report(report: AuditReport, dataset: Dataset, folder: Path) -> None:
    """Write `audit.html`, `audit.json` and `accept.yaml` into `folder`, which is made.

    Where medexp made the split and images are nearly the same, `together.csv` too: a split that is given it does not
    part them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_html(report, dataset, folder / "audit.html")
    write_json(report, folder / "audit.json")
    (folder / "accept.yaml").write_text(accept_yaml(report.refused), encoding="utf-8")
    sets = alike_sets(report)
    if dataset.own_split and sets:
        write_together(folder / TOGETHER, [[(image.token, image.key) for image in images] for images in sets])


def write_json(report: AuditReport, path: Path) -> None:
    """Write everything that was found."""
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
