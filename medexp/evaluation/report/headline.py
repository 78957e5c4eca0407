"""The first screen: what the model is, what it was measured on, and what came out, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.metric_names import HEADLINES, metric_name
from medexp.evaluation.report.wording import counted, estimated, listed, number, of_hundred
from medexp.types import Estimate


@dataclass(frozen=True)
class Headline:
    """One of the few numbers that come first."""

    title: str
    meaning: str
    estimate: Estimate


def headlines(facts: Facts) -> tuple[Headline, ...]:
    """Return up to four numbers of the test split, those of the task first."""
    measured = facts.evidence.metrics.get("test", {})
    chosen = [name for name in HEADLINES[facts.evidence.task] if name in measured]
    return tuple(Headline(metric_name(n).title, metric_name(n).meaning, measured[n]) for n in chosen)


def sentences(facts: Facts) -> tuple[str, ...]:
    """Return the summary, a few sentences."""
    return tuple(_sentences(facts))


def purpose(facts: Facts) -> str:
    """Return what it answers, such as `whether an image is pneumonia or normal`."""
    names = facts.evidence.class_names
    if facts.evidence.task == "binary":
        return f"whether an image is {names[1]} or {names[0]}"
    if facts.evidence.task == "multilabel":
        return f"which of {len(names)} findings an image shows: {listed(names)}"
    if facts.evidence.task == "ordinal":
        return f"which of {len(names)} grades an image has, from {names[0]} to {names[-1]}"
    return f"which of {len(names)} classes an image belongs to: {listed(names, 'or')}"


def _sentences(facts: Facts) -> Iterator[str]:
    yield f"{facts.model} answers {purpose(facts)}. {_learnt_from(facts)}"
    yield _measured_on(facts)
    yield from _answers(facts)
    evidence = facts.evidence
    if evidence.calibration is not None:
        off = evidence.calibration.after.ece
        yield f"Its probabilities miss the observed frequencies by {number(off.value)} on average (ECE)."
    if evidence.abstention is not None:
        found = evidence.abstention
        asked = "findings of test images" if evidence.task == "multilabel" else "test images"
        sure = of_hundred(found.accuracy_if_sure)
        yield (
            f"Asked to cover the truth in {100 * found.coverage:.0f} of 100 images of each class, it gives no sure "
            f"answer for {100 * found.unsure:.0f} of 100 {asked}; its sure answers are right for {sure}. It "
            f"refuses {of_hundred(found.refused)} images as unlike those that it has learnt from."
        )


def _learnt_from(facts: Facts) -> str:
    data = facts.trained_data
    if not data:
        return "What it has learnt from is not on record here."
    learnt, chosen = (facts.images(data, split) for split in ("train", "val"))
    return (
        f"It has learnt from {counted(learnt, 'image')} of {data.get('name')}; on {counted(chosen, 'other')} "
        "its settings were chosen."
    )


def _measured_on(facts: Facts) -> str:
    images = counted(facts.images(facts.data, "test"), "image")
    people = f" from {counted(facts.groups, 'group')} (such as patients)" if facts.groups is not None else ""
    if facts.external:
        return (
            f"It was measured on {images}{people} of {facts.data_name}, other data than it has learnt from; nothing "
            "was fitted on them."
        )
    return f"It was measured on {images} of the same data{people} that took no part in this."


def _answers(facts: Facts) -> Iterator[str]:
    evidence, measured = facts.evidence, facts.evidence.metrics.get("test", {})
    if evidence.task == "binary" and evidence.operating is not None:
        test, positive = evidence.operating.test, evidence.class_names[1]
        if "sensitivity" in test and "specificity" in test:
            threshold = evidence.operating.chosen.thresholds.get(positive)
            at = "" if threshold is None else f"From a probability of {number(threshold)} on it says {positive}. "
            yield (
                f"{at}It finds {of_hundred(test['sensitivity'])} images of {positive}, and rightly clears "
                f"{of_hundred(test['specificity'])} of the others."
            )
    elif evidence.task == "ordinal" and {"accuracy", "mean_absolute_error"} <= measured.keys():
        yield (
            f"Its grade is the right one for {of_hundred(measured['accuracy'])} images; on average it is off by "
            f"{estimated(measured['mean_absolute_error'], 2)} grades."
        )
    elif evidence.task == "multiclass" and "accuracy" in measured:
        yield f"Its answer is right for {of_hundred(measured['accuracy'])} images."
    elif evidence.task == "multilabel" and "auc" in measured:
        yield f"Over the findings, its mean AUC is {estimated(measured['auc'])}."
