"""Stops a strict run at what the audit refuses."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from medexp.data.audit.acceptance import acceptable
from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import plural
from medexp.data.audit.overrides import accept_items, accept_override
from medexp.data.audit.report import AuditReport
from medexp.data.audit.write import TOGETHER
from medexp.errors import DataError

logger = logging.getLogger(__name__)
_SHOWN = 3


def enforce(report: AuditReport, *, mode: Literal["strict", "warn", "off"], where: str) -> None:
    """Refuse, or say, what is refused and not accepted; log warnings and what is accepted.

    Args:
        report: of the audit.
        mode: `strict` raises, `warn` logs, `off` does nothing.
        where: the page to look at.

    Raises:
        DataError: strict, and something is refused: names the files, what mends it and which override accepts it.
    """
    if mode == "off":
        return
    for finding in report.warnings:
        logger.warning("audit: %s", finding.summary)
    if report.accepted:
        reasons = sorted({f"{instance.kind}: {instance.accepted}" for instance in report.accepted})
        logger.info("audit: %d accepted, because: %s", len(report.accepted), "; ".join(reasons))
    for finding in report.findings:
        if finding.kind in ("unknown_acceptance", "stale_acceptance"):
            logger.warning("audit: %s", finding.summary)
    if not report.refused:
        return
    if mode == "warn":
        head = f"The audit of {report.name} would refuse this, but only warns"
        logger.warning("%s", refusal(report, where=where, head=head))
        return
    raise DataError(refusal(report, where=where))


def refusal(report: AuditReport, *, where: str, head: str = "") -> str:
    """Say what is refused, what mends it, and which override accepts it; `head` begins the text."""
    head = head or f"The audit refuses to train on {report.name}"
    lines = [f"{head}: a result on it would not mean what it seems to. Received: {len(report.refused)} refused:"]
    for finding in report.findings:
        open_ = [item for item in finding.instances if item.accepted is None]
        if finding.severity != "refuse" or not open_:
            continue
        accepted = len(finding.instances) - len(open_)
        lines.append(f"- {finding.summary}" + (f" Accepted: {accepted} of these." if accepted else ""))
        names = [item.name for item in open_ if item.images or len(finding.instances) > 1]
        lines += [f"    {name}" for name in names[:_SHOWN]]
        lines += [f"    ... and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        lines.append(f"  Mend: {KINDS[finding.kind].remedy}")
        if not acceptable(finding):
            lines.append("  This cannot be accepted, only mended: a training without it stops, whatever data.audit is.")
    lines.append(f"See {where}")
    together = Path(where).with_name(TOGETHER)
    if together.is_file() and any(item.kind == "near_duplicates_across_splits" for item in report.refused):
        lines.append(f"Split again, with those that are nearly the same kept together: data.split.together={together}")
    count = sum(map(len, accept_items(report.refused).values()))
    if count:
        listed = f"accept.yaml, beside that page, lists {plural(count, 'item')} for the data's own file"
        all_can = all(KINDS[item.kind].acceptable for item in report.refused)
        lines.append(
            f"Accept exactly {'these' if all_can else 'the rest'}: {accept_override(report.refused) or listed}"
        )
        if all_can:
            lines.append("Train all the same, and only be warned: data.audit=warn")
    return "\n".join(lines)
