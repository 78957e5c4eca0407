"""Audit a data set without training on it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.instantiate import instantiate
from medexp.config.schema_scripts import AuditScriptConfig
from medexp.errors import ConfigError, DataError
from medexp.experiment.data import AUDIT, audit_data, data_module
from medexp.experiment.record import record, source_tags
from medexp.experiment.recorded import recorded
from medexp.logs import FILE_ONLY
from medexp.tracking.base import Tracker

if TYPE_CHECKING:
    from medexp.data.audit.report import AuditReport

logger = logging.getLogger(__name__)


def audit(config: AuditScriptConfig) -> None:
    """Look at a data set, record what is found as a run of its own, and print it.

    Raises:
        DataError: a strict audit refuses what it found; the run is finished and its report written all the same.
    """
    if config.data.audit == "off":
        raise ConfigError("An audit that is off looks at nothing. Received: data.audit=off. Override: data.audit=warn")
    tracker: Tracker = instantiate("logger", config.logger)
    tags = {**source_tags("scripts/audit.py"), "medexp.kind": "audit"}
    with recorded(config, tracker, below="audits", tags=tags) as execution:
        run, folder = execution.run, execution.folder
        record(config, run, folder)
        data = data_module(config.data, seed=config.seed)
        data.prepare()
        report = audit_data(config.data, config.audit, data, run, folder, seed=config.seed)
        for finding in report.findings:
            logger.info("%s: %s", finding.severity, finding.summary, extra=FILE_ONLY)
    _print(report, folder, where=tracker.where(run.id))
    if report.refused and config.data.audit == "strict":
        from medexp.data.audit.enforce import refusal

        raise DataError(refusal(report, where=str(folder / AUDIT / "audit.html")))


def _print(report: AuditReport, folder: Path, *, where: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from medexp.console import wide_console
    from medexp.data.audit.catalogue import KINDS

    console = wide_console()
    images = sum(report.totals.values())
    synthetic = ", SYNTHETIC" if report.synthetic else ""
    console.print(f"\nAudit of {report.name}: {images:,} images{synthetic}, {report.seconds:.1f} s", style="bold")
    table = Table(box=SIMPLE_HEAD)
    for title in ("", "finding", "what was found"):
        table.add_column(title)
    for finding in report.findings:
        accepted = all(instance.accepted is not None for instance in finding.instances)
        table.add_row("accepted" if accepted else finding.severity, KINDS[finding.kind].title, finding.summary)
    if report.findings:
        console.print(table)
    else:
        console.print("Nothing was found.")
    console.print(f"  checked  {len(report.checks)} things: {', '.join(check.name for check in report.checks)}")
    console.print(f"  report   {folder / AUDIT / 'audit.html'}\n  compare  {where}\n", soft_wrap=True)
