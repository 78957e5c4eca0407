"""What a report says of results and of the model that leaves."""

from __future__ import annotations

from collections.abc import Iterator

from medexp.evaluation.report.cautions import cautions
from medexp.evaluation.report.checklist import Answer
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.headline import headlines, purpose
from medexp.evaluation.report.metric_names import metric_name, metric_order
from medexp.evaluation.report.wording import aim_in_words, counted, estimated, listed, number, percent


def result_answers(facts: Facts) -> dict[str, Answer]:
    """Return answers by topic, only those that something in the run fills."""
    found = (*_whole(facts), *_metrics(facts), *_decisions(facts), *_looks(facts), *_bundle(facts))
    return {topic: Answer(text, anchor) for topic, text, anchor in found if text}


def _whole(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    evidence = facts.evidence
    done = "external evaluation" if facts.external else "development and internal evaluation"
    yield "kind", f"{done} of a deep learning model, {facts.model}, on {facts.data_name}", "summary"
    evaluated = "" if evidence.run_id == evidence.evaluation_id else f", evaluation {evidence.evaluation_id}"
    yield "version", f"run {evidence.run_id}{evaluated}, {evidence.created}", "provenance"
    yield "outcome", f"{purpose(facts)} ({evidence.task})", "summary"
    yield "summary", "on the first screen of this page", "summary"
    yield "no_reader", "nobody: the network reads the pixels itself", "configuration"
    if facts.external:
        yield "external", f"{facts.data_name}, digest {facts.data.get('digest')}", "data"
    else:
        yield "internal", f"{counted(facts.images(facts.data, 'test'), 'test image')} of {facts.data_name}", "metrics"
    yield "updating", "none: nothing was fitted on the images that it is measured on", "calibration"
    known = cautions(facts)
    yield "cautions", " ".join(caution.text for caution in known[:3]) if known else "none found", "summary"


def _metrics(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    evidence = facts.evidence
    measured = evidence.metrics.get("test", {})
    names = sorted({name for name in measured if "/" not in name}, key=metric_order)
    plots = [*evidence.pictures]
    shown = f"; pictures: {listed(plots, limit=12)}" if plots else ""
    yield "measures", names and f"{listed([metric_name(n).title for n in names], limit=20)}{shown}", "metrics"  # type: ignore[misc]
    best = [f"{headline.title} {estimated(headline.estimate)}" for headline in headlines(facts)]
    yield "performance", "; ".join(best), "metrics"
    diagnostic = [f"{metric_name(n).title} {estimated(measured[n])}" for n in _DIAGNOSTIC if n in measured]
    yield "diagnostic", "; ".join(diagnostic), "metrics"
    how = evidence.resampling
    if how.resamples:
        drawn = "groups" if how.unit == "group" else "images within each class"
        text = f"{percent(how.confidence)} intervals by bootstrap, {how.resamples:,} resamples of {drawn}"
        yield "uncertainty", text, "metrics"
    section = evidence.subgroups
    if section is None or not section.subgroups:
        return
    columns = list(dict.fromkeys(subgroup.column for subgroup in section.subgroups))
    yield "subgroup_columns", f"performance is compared across {listed(columns)}", "subgroups"
    clusters = [column for column in columns if any(word in column.lower() for word in _CLUSTERS)]
    if clusters:
        yield "clusters", f"performance is compared across {listed(clusters)}", "subgroups"
    yield "subgroup_counts", f"images by {listed(columns)}", "subgroups"
    yield "fairness", f"performance is compared across {listed(columns)}", "subgroups"
    worst = section.worst
    if worst is not None and section.metric in worst.metrics:
        value = estimated(worst.metrics[section.metric])
        title = metric_name(section.metric).title
        yield "subgroups", f"worst by {title}: {worst.column} {worst.value}, {value}", "subgroups"
    else:
        yield "subgroups", counted(len(section.subgroups), "subgroup"), "subgroups"


_CLUSTERS = ("site", "hosp", "cent", "clinic", "scanner", "device", "manufact", "vendor", "institu", "countr", "region")
_DIAGNOSTIC = ("auc", "sensitivity", "specificity", "ppv", "npv")


def _decisions(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    evidence = facts.evidence
    yield "output", f"a probability for each class: {listed(evidence.class_names, limit=14)}", "metrics"
    if evidence.operating is not None:
        chosen = evidence.operating.chosen
        at = ", ".join(f"{name} from {number(value)} on" for name, value in chosen.thresholds.items())
        told = at or "the most probable class is the answer"
        yield "thresholds", f"{told}; chosen on validation: {aim_in_words(chosen.aim)}", "operating-point"
    if evidence.calibration is not None:
        method = evidence.calibration.fitted.method
        yield "calibration", f"{method} scaling, fitted on validation" if method != "none" else "none", "calibration"
    if evidence.abstention is not None:
        rate = f"refuses {percent(evidence.abstention.refused.value, 1)} of test images as strange"
        yield "refusal", f"an image unlike those trained on is refused; it {rate}", "abstention"


def _looks(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    evidence = facts.evidence
    if evidence.robustness is not None and evidence.robustness.corrupted:
        kinds = list(dict.fromkeys(item.corruption for item in evidence.robustness.corrupted))
        yield "robustness", f"{listed(kinds)} at five severities, {evidence.robustness.images:,} images", "robustness"
    section = evidence.saliency
    if section is None:
        return
    verdict = "passed" if section.passed else "failed"
    check = f"sanity check with random weights {verdict} (similarity {number(section.similarity, 2)})"
    yield "explained", f"{section.method.upper()} maps; {check}", "saliency"
    wrong = next((shown for kind, shown in section.gallery.items() if "wrong" in kind), ())
    if wrong:
        yield (
            "failures",
            f"the {counted(len(wrong), 'surest wrong answer')}, with maps; confusion of classes",
            "saliency",
        )


def _bundle(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    passport = facts.passport
    if passport is None:
        return
    files = passport.get("files") or {}
    yield "specification", f"bundle/ of the run: {listed(sorted(files), limit=12)}, each with its SHA-256", "bundle"
    yield "calculated", "by model.keras of the bundle, which stock Keras loads, or an exported graph", "bundle"
    yield "service", "an image goes in as a file; the service prepares it as in training, or refuses it", "bundle"
