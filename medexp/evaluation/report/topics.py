"""What a report cannot say yet, topic by topic: what it is about, and what would fill it."""

from __future__ import annotations

from medexp.evaluation.report.checklist import Answer
from medexp.evaluation.report.facts import Facts

_NEEDS_CONFIG = "the configuration of the training"
PEOPLE = {
    "intended_use": "intended use and users (card.intended_use)",
    "not_for": "uses to be ruled out (card.not_for)",
    "population": "who the images come from (card.population)",
    "dates": "when the images were taken (card.dates)",
    "reference_standard": "how the labels were made, by whom (card.reference_standard)",
    "limitations": "limitations that people see (card.limitations)",
    "ethics": "approval and consent (card.ethics)",
    "funding": "who paid, and their role (card.funding)",
    "conflicts": "conflicts of interest (card.conflicts)",
    "protocol": "the protocol of the study (card.protocol)",
    "registration": "register and number (card.registration)",
    "license": "the license of the model (card.license)",
    "contact": "whom to ask (card.contact)",
}
MISSING = {
    **PEOPLE,
    "kind": "what is done here",
    "version": "the run",
    "outcome": "the outcome",
    "summary": "a summary",
    "sources": "where the data comes from",
    "preparation": f"{_NEEDS_CONFIG}: how images are prepared",
    "quality": "an audit of the data (scripts/audit.py)",
    "predictors": f"{_NEEDS_CONFIG}: what the network sees",
    "no_reader": "whether a person reads the images first",
    "size": "counts of the images",
    "unreadable": "an audit of the data: files that cannot be read",
    "division": "how the data was divided",
    "disjoint": "the level at which splits are disjoint",
    "augmentation": f"{_NEEDS_CONFIG}: augmentation",
    "model": f"{_NEEDS_CONFIG}: the network",
    "training": f"{_NEEDS_CONFIG}: optimizer, loss, schedule",
    "epochs": "the history of the training",
    "selection": f"{_NEEDS_CONFIG}: the objective",
    "initial": f"{_NEEDS_CONFIG}: initial weights",
    "ensemble": f"{_NEEDS_CONFIG}: averaging",
    "software": "versions of the software (environment.json)",
    "code": "the commit (environment.json)",
    "configuration": _NEEDS_CONFIG,
    "imbalance": f"{_NEEDS_CONFIG}: class weights and sampling",
    "calibration": "calibration (evaluation.calibration)",
    "updating": "whether the model was updated",
    "calculated": "a bundle, with which predictions can be calculated again",
    "specification": "a bundle: the whole model in files",
    "service": "a bundle that can be served",
    "output": "the output",
    "thresholds": "the operating point (evaluation.operating_point)",
    "measures": "measures of performance",
    "uncertainty": "intervals (evaluation.resamples)",
    "performance": "performance on test",
    "diagnostic": "sensitivity and specificity on test",
    "counts": "counts of the images by class",
    "shares": "counts of the images by split and class",
    "clusters": "clusters such as sites or scanners: none were compared",
    "subgroup_columns": "groups to compare: the data names none, or evaluation.subgroups=none",
    "subgroup_counts": "characteristics of the images: the data names none, or evaluation.subgroups=none",
    "subgroups": "performance of subgroups: the data names none, or evaluation.subgroups=none",
    "fairness": "performance of subgroups: the data names none, or evaluation.subgroups=none",
    "difference": "how the data of development differs",
    "data_identity": "digest of the data",
    "robustness": "metrics under corruptions (evaluation.corruptions)",
    "explained": "maps and their sanity check (evaluation.saliency=true)",
    "failures": "a gallery of wrong answers (evaluation.saliency=true)",
    "refusal": "refusal of strange images (evaluation.false_refusal)",
    "internal": "evaluation on held-out images of its own data (python scripts/evaluate.py <run id>)",
    "external": "images of another source (python scripts/evaluate.py <run id> data=...)",
    "cautions": "cautions",
}


def said(facts: Facts) -> dict[str, Answer]:
    """Return what people have said of the model, by topic."""
    texts = {topic: facts.said(topic) for topic in PEOPLE}
    return {topic: Answer(text, "model-card") for topic, text in texts.items() if text is not None}
