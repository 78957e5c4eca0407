"""What a reader must know before the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.grids import first_break
from medexp.evaluation.report.metric_names import metric_name
from medexp.evaluation.report.wording import aim_in_words, counted, estimated, listed, number
from medexp.types import Estimate

FEWEST = 100  # with the outcome, and without: Collins, Ogundimu and Altman, Stat Med 35:214 (2016)
FEWEST_GROUPS = 30  # below which a bootstrap over groups is too sure of itself


@dataclass(frozen=True)
class Caution:
    """One thing to know; `refuse`: no number means what it seems to, `warn`: some may not, `note`: keep it in mind."""

    level: Literal["refuse", "warn", "note"]
    text: str
    anchor: str


def cautions(facts: Facts) -> tuple[Caution, ...]:
    """Return all that applies, the gravest first."""
    order = ("refuse", "warn", "note")
    return tuple(sorted(_cautions(facts), key=lambda caution: order.index(caution.level)))


def accepted(audit: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Return accepted findings of an audit by kind: how many, and the reason of the first."""
    found: dict[str, tuple[int, str]] = {}
    for finding in audit.get("findings", ()):
        reasons = [item["accepted"] for item in finding.get("instances", ()) if item.get("accepted")]
        if reasons:
            found[finding["kind"]] = (len(reasons), reasons[0])
    return found


def _cautions(facts: Facts) -> Iterator[Caution]:
    if facts.synthetic:
        yield Caution("refuse", "A program drew the images: no number here says anything about patients.", "data")
    yield from _of_audit(facts)
    yield from _of_test_set(facts)
    yield from _of_answers(facts)
    if facts.environment.get("git_dirty"):
        changed = counted(len(facts.environment.get("git_changes", ())) or None, "file")
        yield Caution("note", f"The code was not as committed: {changed} differed. code.patch has them.", "provenance")


def _of_audit(facts: Facts) -> Iterator[Caution]:
    audit = facts.audit
    if audit is None:
        yield Caution("warn", "Nobody looked for leaks: the data was not audited (data.audit=off).", "audit")
        return
    if audit.get("refused"):
        many = counted(audit["refused"], "finding")
        text = f"The audit refuses the data: {many} that nobody accepted. A result on it may not mean what it seems to."
        yield Caution("refuse", text, "audit")
    for kind, (count, reason) in accepted(audit).items():
        of = f" of {audit['name']}" if facts.external and audit.get("name") else ""
        what = f"{counted(count, 'case')} of {kind.replace('_', ' ')}"
        text = f"Accepted in the audit{of}: {what}. Reason given: {reason.rstrip('.')}."
        yield Caution("warn", text, "audit")

    warned = [finding["kind"].replace("_", " ") for finding in audit.get("findings", ()) if _warns(finding)]
    if warned:
        yield Caution("note", f"The audit warns of {listed(warned)}: read whether a result may rest on it.", "audit")


def _warns(finding: Mapping[str, Any]) -> bool:
    """Whether it is a warning of which something is not accepted."""
    return finding.get("severity") == "warn" and any(not i.get("accepted") for i in finding.get("instances", ()))


def _of_test_set(facts: Facts) -> Iterator[Caution]:
    how = facts.evidence.resampling
    if facts.external:
        yield Caution("note", "Measured on other data than it was trained on: it is the harder test.", "data")
    smallest = facts.smallest_class
    if smallest is not None and smallest[1] < FEWEST:
        text = (
            f"A small test set: {counted(smallest[1], 'image')} of {smallest[0]}. Below about {FEWEST} with a "
            "finding, and without, numbers are uncertain; read the intervals."
        )
        yield Caution("warn", text, "data")
    if how.resamples == 0:
        text = "No intervals were asked for (evaluation.resamples=0): nobody can say how uncertain a number is."
        yield Caution("warn", text, "metrics")
    if how.unit != "group":
        text = (
            "The data names no groups: where a patient has several images, the intervals are too narrow. "
            "Override: data.group_column"
        )
        yield Caution("note", text, "metrics")
    elif how.units < FEWEST_GROUPS:
        yield Caution("warn", f"Only {counted(how.units, 'group')} in the test split: intervals are rough.", "metrics")


def _of_answers(facts: Facts) -> Iterator[Caution]:
    evidence = facts.evidence
    if evidence.operating is not None and not evidence.operating.chosen.met:
        aim = aim_in_words(evidence.operating.chosen.aim)
        text = f"Validation cannot reach the aim, {aim}: the nearest point was taken."
        yield Caution("warn", text, "operating-point")
    if evidence.calibration is not None:
        before, after = evidence.calibration.before.log_loss, evidence.calibration.after.log_loss
        if after.value > before.value and evidence.calibration.fitted.method != "none":
            text = f"Calibration makes the test split worse: log loss {number(before.value)} to {number(after.value)}."
            yield Caution("warn", text, "calibration")
        if _apart(evidence.calibration.after.slope, 1.0):
            slope = estimated(evidence.calibration.after.slope, 2)
            sure = "too sure" if evidence.calibration.after.slope.value < 1 else "not sure enough"
            yield Caution("note", f"Probabilities are {sure}: calibration slope {slope}.", "calibration")
    if evidence.abstention is not None:
        missed = [name for name, holds in evidence.abstention.within.items() if not holds and name != "all"]
        if missed:
            text = f"Coverage is not as chosen, beyond chance, for {listed(missed)}: validation and test differ."
            yield Caution("warn", text, "abstention")
    broken = None if evidence.robustness is None else first_break(evidence.robustness, task=evidence.task)
    if broken is not None:
        fall = f"{broken.metric.title} falls from {number(broken.clean.value, 2)} to {estimated(broken.worse, 2)}"
        text = f"Worse images break it: under {broken.corruption} of severity {broken.severity} of 5, {fall}."
        yield Caution("warn", text, "robustness")
    if evidence.saliency is not None and not evidence.saliency.passed:
        text = "The maps hardly change when all weights are random: they do not show what was learnt."
        yield Caution("warn", text, "saliency")
    yield from _of_subgroups(facts)


def _of_subgroups(facts: Facts) -> Iterator[Caution]:
    section = facts.evidence.subgroups
    if section is None or section.worst is None or section.metric not in section.worst.metrics:
        return
    whole = facts.evidence.metrics.get("test", {}).get(section.metric)
    worst = section.worst.metrics[section.metric]
    if whole is not None and _apart(worst, whole.value):
        where = f"{section.worst.column} {section.worst.value}"
        title = metric_name(section.metric).title
        text = f"It does worse for {where}: {title} {estimated(worst)}, over all {number(whole.value)}."
        yield Caution("warn", text, "subgroups")


def _apart(estimate: Estimate, value: float) -> bool:
    """Whether the interval, where there is one, leaves `value` out."""
    return estimate.low < estimate.high and not estimate.low <= value <= estimate.high
